import type { Diagnosis, FailureClass } from '../domain/diagnosis.js';
import { operationOf, type Operation } from './answers.js';
import { explains } from './causes.js';
import type { Rule } from './rules/rule.js';
import { unclassifiedLines, type UnclassifiedLine, type UnclassifiedLines } from './unclassified.js';

/** A rule that matched a line. */
export interface Hit extends UnclassifiedLine {
  readonly rule: Rule;
  readonly captures: Readonly<Record<string, string>>;
  readonly confidence: number;
  /** Only a warning, or tried again: counts where it is said again and again. */
  readonly soft: boolean;
  /** How often the very message was said so far. */
  readonly times: number;
}

/** So often must the same soft message come to count, and so much is it worth. */
const SOFT_REPEATS = 3;
const SOFT_WORTH = 0.65;
/** Below it a diagnosis is no more than a guess. */
const LEAST = 0.35;
/** So sure must a cause be to explain something else, and so much is left of what is explained. */
const SURE = 0.65;
const EXPLAINED_WORTH = 0.5;
/** A class first seen later is worth so much less, for each one before it. */
const LATER = 0.015;
const EVIDENCE_LINES = 5;
const EVIDENCE_CHARS = 500;
const MAX_DIAGNOSES = 5;

interface Candidate {
  readonly best: Hit;
  readonly evidence: readonly string[];
  readonly hits: number;
  /** What its hits are of, each once. */
  readonly operations: readonly Operation[];
  /** In which order the classes were first seen. */
  readonly order: number;
}

/** The classes that lines speak for so far: one candidate each. */
export interface Candidates {
  readonly unknown: UnclassifiedLines;
  /** Takes a hit, and returns whether it is ground for a diagnosis by itself. */
  add(hit: Hit): boolean;
  /** Forgets the classes of which every hit is of an operation that succeeded later. */
  answer(succeeded: ReadonlySet<Operation>): void;
  ranked(): readonly Diagnosis[];
}

/** @param novel whether lines that earlier successes had, too, were left out */
export function candidates(novel: boolean): Candidates {
  const classes = new Map<FailureClass, Candidate>();
  const unknown = unclassifiedLines(novel);

  return {
    unknown,
    add(hit) {
      if (hit.soft && hit.times < SOFT_REPEATS) return false;
      const weighed = hit.soft ? { ...hit, confidence: hit.confidence * SOFT_WORTH } : hit;
      const known = classes.get(hit.rule.class);
      classes.set(hit.rule.class, {
        best: known === undefined || weighed.confidence > known.best.confidence ? weighed : known.best,
        evidence: withEvidence(known?.evidence ?? [], hit.text),
        hits: (known?.hits ?? 0) + 1,
        operations: [...new Set([...(known?.operations ?? []), operationOf(hit.rule.class, hit.text, hit.soft)])],
        order: known?.order ?? classes.size,
      });
      return weighed.confidence >= LEAST;
    },
    answer(succeeded) {
      for (const [name, { operations }] of classes)
        if (operations.every((one) => succeeded.has(one))) classes.delete(name);
    },
    ranked() {
      const known = [...classes.values()]
        .map((candidate) => ({ candidate, score: scoreOf(candidate, classes) }))
        .filter(({ score }) => score >= LEAST)
        .sort((a, b) => b.score - a.score || a.candidate.order - b.candidate.order)
        .slice(0, MAX_DIAGNOSES)
        .map(({ candidate, score }) => diagnosisOf(candidate, score));
      if (known.length > 0) return known;
      const guess = unknown.diagnosis();
      return guess === undefined ? [] : [guess];
    },
  };
}

function withEvidence(evidence: readonly string[], text: string): readonly string[] {
  const clipped = text.slice(0, EVIDENCE_CHARS);
  return evidence.length >= EVIDENCE_LINES || evidence.includes(clipped) ? evidence : [...evidence, clipped];
}

function scoreOf({ best, order }: Candidate, classes: ReadonlyMap<FailureClass, Candidate>): number {
  const explained = [...classes.values()].some(({ best: other, order: otherOrder }) => {
    if (other.confidence < SURE || !explains(other.rule.class, best.rule.class)) return false;
    // Where each could be the other's cause, it is the one that came first.
    return otherOrder < order || !explains(best.rule.class, other.rule.class);
  });
  return Math.max(0, best.confidence - LATER * Math.min(order, 6)) * (explained ? EXPLAINED_WORTH : 1);
}

function diagnosisOf({ best, evidence }: Candidate, score: number): Diagnosis {
  const told = best.text.slice(0, EVIDENCE_CHARS);
  return {
    class: best.rule.class,
    confidence: Math.round(score * 100) / 100,
    line: best.line,
    offset: best.offset,
    evidence: [told, ...evidence.filter((text) => text !== told)].slice(0, EVIDENCE_LINES),
    why: best.rule.why.replace(/\{(\w+)\}/g, (_, name: string) => best.captures[name] ?? '').replace(/: *$/, ''),
    rule: best.rule.id,
    captures: best.captures,
  };
}
