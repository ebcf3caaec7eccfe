import type { Diagnosis, FailureClass } from '../domain/diagnosis.js';
import { answeredBy } from './answers.js';
import { candidates } from './candidates.js';
import { readLogLine, type LogLine } from './log-lines.js';
import { toneOf } from './noise.js';
import { RULES } from './rules/index.js';
import type { Rule } from './rules/rule.js';
import { isSuspicious } from './prefilter.js';
import { createTemplateMiner, type TemplatesState } from './templates.js';
import { suggestsFailure } from './unclassified.js';

/** How many lines before and after one a rule may look at. */
const NEIGHBOURS = 4;
const RING = 2 * NEIGHBOURS + 1;
/** How often the same message is looked at anew; a log may say one thing a million times. */
const REPEATS = 4;
const REMEMBERED_MESSAGES = 2000;
/** And messages that differ in their values only: the rules are slow beside the rest. */
const KIND_REPEATS = 50;
const REMEMBERED_KINDS = 1000;
const NEIGHBOUR_CHARS = 600;
/** A line shorter than this was not wrapped. */
const WRAPPED_CHARS = 30;

/** What the kernel itself can say; its other "failed" and "not found" are probes that found nothing. */
const KERNEL_CLASSES: ReadonlySet<FailureClass> = new Set([
  'disk.not-found',
  'disk.busy',
  'disk.full',
  'mount.failed',
  'memory.oom',
  'hardware.firmware',
  'kexec',
  'bootloader',
  'timeout',
]);

interface Held {
  text: string;
  line: number;
  offset: number;
  suspicious: boolean;
}

/** Finds out from a log's lines why it failed, one line after the other, in bounded memory. */
export interface Diagnoser {
  /**
   * Takes the next line.
   * @param lineAt its index in the log; asked for only where the line is worth a look
   */
  take(text: string, offset: number, lineAt: (offset: number) => number): void;
  /** The phase of the installer from here on. */
  enter(phase: string): void;
  /** Ends the log. Best first; empty where nothing failed. */
  finish(): readonly Diagnosis[];
}

export interface DiagnoserOptions {
  readonly rules?: readonly Rule[];
  /** Templates of earlier successes: their lines tell nothing of a failure that no rule knows. */
  readonly known?: TemplatesState;
  /**
   * Whether the installer is known to have failed: then no message of success outweighs anything.
   */
  readonly failed?: boolean;
}

export function createDiagnoser({ rules = RULES, known, failed = false }: DiagnoserOptions = {}): Diagnoser {
  const ring: Held[] = Array.from({ length: RING }, () => ({ text: '', line: 0, offset: 0, suspicious: false }));
  const usual = known === undefined ? undefined : createTemplateMiner({}, known);
  const isUsual = (message: string) => usual?.find(message) !== undefined;
  const found = candidates(usual !== undefined);
  const seen = new Map<string, number>();
  const kinds = createTemplateMiner({ maxTemplates: REMEMBERED_KINDS });
  let count = 0;
  let evaluated = 0;
  let phase = '';

  const heldAt = (index: number): Held | undefined =>
    index < 0 || index >= count || index < count - RING ? undefined : ring[index % RING];

  const contextOf = (index: number): string => {
    let context = '';
    for (let at = index - NEIGHBOURS; at <= index + NEIGHBOURS; at++)
      context += `${heldAt(at)?.text.slice(0, NEIGHBOUR_CHARS) ?? ''}\n`;
    return context;
  };

  const seenBefore = (message: string): number => {
    const key = message.replace(/\b\d+\b/g, '0');
    if (seen.size >= REMEMBERED_MESSAGES) seen.clear();
    const times = (seen.get(key) ?? 0) + 1;
    seen.set(key, times);
    return times;
  };

  const evaluate = (index: number): void => {
    const held = heldAt(index);
    if (held?.suspicious !== true) return;
    const read = readLogLine(held.text);
    const tone = toneOf(read.message, read.kernel);
    if (tone === 'noise') return;
    if (!failed) found.answer(answeredBy(read.message));
    const times = seenBefore(read.message);
    if (times > REPEATS || kinds.learn(read.message).count > KIND_REPEATS) return;
    const next = continuationOf(heldAt(index)?.text ?? '', heldAt(index + 1)?.text ?? '');
    const place = { text: read.message, line: held.line, offset: held.offset };
    let context: string | undefined;
    const around = () => (context ??= contextOf(index));
    // What was said when it succeeded, too, is no ground for a guess.
    const unusual = tone === 'hard' && tellsUnknown(read) && !isUsual(read.message);
    const telling = unusual && suggestsFailure(read.message);
    let isKnown = false;
    for (const rule of rules) {
      if (rule.hint === true && !telling) continue;
      const match = matchOf(rule, read.message, next);
      if (match === null || (read.kernel && !KERNEL_CLASSES.has(rule.class))) continue;
      if (rule.unless?.test(read.message) === true || rule.notNear?.test(around()) === true) continue;
      if (rule.near?.test(around()) === false) continue;
      const soft = tone === 'soft' || (read.notice && rule.evenAsWarning !== true);
      const confidence = confidenceOf(rule, around, phase);
      isKnown = found.add({ rule, captures: capturesOf(match), confidence, soft, times, ...place }) || isKnown;
    }
    if (unusual && !isKnown) found.unknown.look(place);
  };

  const settle = (upTo: number): void => {
    for (; evaluated < upTo; evaluated++) evaluate(evaluated);
  };

  return {
    take(text, offset, lineAt) {
      const held = ring[count % RING] as Held;
      held.text = text;
      held.suspicious = isSuspicious(text);
      if (held.suspicious) {
        held.offset = offset;
        held.line = lineAt(offset);
      }
      count++;
      settle(count - NEIGHBOURS);
    },
    enter(name) {
      phase = name;
    },
    finish() {
      settle(count);
      return found.ranked();
    },
  };
}

/** The next line where it goes on with this one's sentence; empty where it begins anew. */
function continuationOf(text: string, next: string): string {
  const trimmed = text.trimEnd();
  if (trimmed.length < WRAPPED_CHARS || /[.:;!?})\]]$/.test(trimmed)) return '';
  const { message } = readLogLine(next);
  return message === next.trim() && /^(?!error|warning)[a-z'"‘`(]/.test(message) ? message : '';
}

/** A message may be wrapped: the match begins in the line and may end in the next. */
function matchOf({ pattern }: Rule, message: string, next: string): RegExpExecArray | null {
  const match = pattern.exec(message);
  if (match !== null || next === '') return match;
  const joined = pattern.exec(`${message} ${next}`);
  return joined !== null && joined.index < message.length ? joined : null;
}

function confidenceOf(rule: Rule, around: () => string, phase: string): number {
  let confidence = rule.confidence;
  if (rule.raisedBy?.test(around()) === true) confidence += 0.05;
  if (rule.loweredBy?.test(around()) === true) confidence -= 0.2;
  if (phase !== '' && rule.phases?.test(phase) === true) confidence += 0.03;
  return Math.min(0.99, confidence);
}

/** Captures of the same thing in several alternatives are told apart by a digit at the end. */
function capturesOf(match: RegExpExecArray): Record<string, string> {
  const captures: Record<string, string> = {};
  // What an alternative that did not match would have captured is undefined, whatever the types say.
  for (const [name, value] of Object.entries<string | undefined>(match.groups ?? {})) {
    if (value !== undefined) captures[name.replace(/\d$/, '')] = value.slice(0, 200);
  }
  return captures;
}

function tellsUnknown({ notice, kernel, message }: LogLine): boolean {
  return !notice && (!kernel || /panic|BUG|Oops/.test(message));
}
