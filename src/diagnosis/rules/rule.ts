import type { FailureClass } from '../../domain/diagnosis.js';
import { bounded } from '../bounded.js';

/** One way a tool says that something failed. Adding a rule is adding one of these to a family's table. */
export interface Rule {
  /** `class/name`, unique. */
  readonly id: `${FailureClass}/${string}`;
  readonly class: FailureClass;
  /**
   * Tested on a line without its log prefixes, joined with the next line for messages that are
   * wrapped; it must begin in the line itself. Named groups are the diagnosis' captures. Not `g` or
   * `y`, and linear on hostile text: `rulesOf` bounds its repeats, and
   * test/unit/diagnosis/linear.test.ts tries what is worst for it.
   */
  readonly pattern: RegExp;
  /** How sure one such line alone makes us, 0 to 1. */
  readonly confidence: number;
  /** What it means, for people; `{name}` stands for a capture. */
  readonly why: string;
  /** Must be found in the lines around it. */
  readonly near?: RegExp;
  /** Must not be found in the line itself: then it means something else. */
  readonly unless?: RegExp;
  /** Must not be found in the lines around it, either. */
  readonly notNear?: RegExp;
  /** In the lines around it, makes us surer. */
  readonly raisedBy?: RegExp;
  /** In the lines around it, makes us less sure. */
  readonly loweredBy?: RegExp;
  /** Phases of the installer in which it is likelier. */
  readonly phases?: RegExp;
  /** Counts only in a line that plainly says that something failed. */
  readonly hint?: true;
  /** Counts in full where the tool calls it a warning, too. */
  readonly evenAsWarning?: true;
}

type Extras = Omit<Rule, 'id' | 'class' | 'pattern' | 'confidence' | 'why'>;

/** The rules of one class, each as `[name, pattern, confidence, why, extras?]`. */
export function rulesOf(
  failureClass: FailureClass,
  rows: readonly (readonly [name: string, pattern: RegExp, confidence: number, why: string, extras?: Extras])[],
): readonly Rule[] {
  return rows.map(([name, pattern, confidence, why, extras]) => ({
    id: `${failureClass}/${name}`,
    class: failureClass,
    pattern: bounded(pattern),
    confidence,
    why,
    ...withBounds(extras),
  }));
}

function withBounds(extras: Extras = {}): Extras {
  return Object.fromEntries(
    Object.entries(extras).map(([name, value]) => [name, value instanceof RegExp ? bounded(value) : value]),
  );
}
