import type { Diagnosis } from '../domain/diagnosis.js';
import { createTemplateMiner } from './templates.js';

/** How a line says that something failed where no rule knows what; the surest first. */
const TELLING: readonly (readonly [pattern: RegExp, weight: number])[] = [
  [
    /Kernel panic|kernel BUG|Oops:|Segmentation fault|core dumped|panicked at|[Aa]ssertion .{1,400}failed|Assertion failure|\bfatal\b ?[:\]]|\bFATAL\b|Aborted/i,
    0.34,
  ],
  [
    /(?:^|[\s\]"])(?:error|E|ERR)(?:\]|:)|\[ERROR\]|\bERROR\b|level=(?:error|fatal)|Traceback \(most recent|Unhandled|\b[A-Z]\w{1,80}?(?:Error|Exception):/,
    0.3,
  ],
  [
    /\b(?:returned non-zero|exit(?:ed)? (?:with )?(?:status|code|value):? [1-9]|aborted|abnormally|not successful|unsuccessful)|\bfailed\W*$|\bFAILED\b|\b(?:installation|script|build|deployment|run|step|command|job)\b.{0,40} failed\b/,
    0.25,
  ],
];
/** Says that something failed, if not that all did: enough where the line's words say what. */
const FAILED = /\bfailed\b(?!-)|\bfailure\b|^(?:failed to|unable to|cannot|could not)\b/i;
const LIMIT = 5;
/** One line of each kind is enough: a log may say one thing a million times. */
const MAX_TEMPLATES = 200;
/** Shorter than this it tells nothing: `failed`. */
const SHORTEST = 10;

/** A program's own bug, of which its words say nothing. */
const BUG = /[Aa]ssertion|Segmentation|core dumped|Traceback|panicked|Unhandled/;

/** Whether a line plainly says that something failed, and may say what. */
export function suggestsFailure(text: string): boolean {
  if (text.length < SHORTEST || BUG.test(text)) return false;
  return FAILED.test(text) || TELLING.some(([pattern]) => pattern.test(text));
}

export interface UnclassifiedLine {
  readonly text: string;
  readonly line: number;
  readonly offset: number;
}

/** Collects what an unknown failure shows, bounded. */
export interface UnclassifiedLines {
  look(line: UnclassifiedLine): void;
  diagnosis(): Diagnosis | undefined;
}

/** @param novel whether only lines are looked at that earlier successes had not */
export function unclassifiedLines(novel: boolean): UnclassifiedLines {
  const told = createTemplateMiner({ maxTemplates: MAX_TEMPLATES });
  let best: { readonly weight: number; readonly line: UnclassifiedLine } | undefined;
  let others: UnclassifiedLine[] = [];
  return {
    look(line) {
      if (line.text.length < SHORTEST) return;
      const weight = TELLING.find(([pattern]) => pattern.test(line.text))?.[1];
      if (weight === undefined || !told.learn(line.text).isNew) return;
      if (best === undefined || weight > best.weight) best = { weight, line };
      others = [...others, line].slice(-LIMIT * 2);
    },
    diagnosis() {
      if (best === undefined) return undefined;
      const first = best.line;
      return {
        class: 'unknown',
        confidence: best.weight,
        line: first.line,
        offset: first.offset,
        evidence: [first, ...others.filter(({ line }) => line !== first.line)].slice(0, LIMIT).map(({ text }) => text),
        why: `no rule knows this failure; these lines tell most${novel ? ', and earlier successes of this profile had none of them' : ''}`,
        rule: '',
        captures: {},
      };
    },
  };
}
