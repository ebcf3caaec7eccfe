/**
 * How a run ended. `healed` is a pass that needed changes and is never shown as a plain pass; `error` is the bench's own
 * fault, not the profile's.
 */
export type Verdict = 'passed' | 'healed' | 'failed' | 'error' | 'cancelled';

/** Worst first: the order in which verdicts decide a suite's. */
const SEVERITY: readonly Verdict[] = ['cancelled', 'error', 'failed', 'healed', 'passed'];

/** The verdict of a suite: the worst of its runs' verdicts; a suite without runs is an `error`. */
export function worstVerdict(verdicts: readonly Verdict[]): Verdict {
  return SEVERITY.find((verdict) => verdicts.includes(verdict)) ?? 'error';
}

/** Exit codes of the command line, as documented in docs/cli.md. */
export const EXIT = { ok: 0, failed: 1, usage: 2, fault: 3, interrupted: 130 } as const;

/**
 * The exit code for a suite's verdict.
 * @param strict counts `healed` as a failure
 */
export function exitCodeOf(verdict: Verdict, strict: boolean): number {
  switch (verdict) {
    case 'passed':
      return EXIT.ok;
    case 'healed':
      return strict ? EXIT.failed : EXIT.ok;
    case 'failed':
      return EXIT.failed;
    case 'error':
      return EXIT.fault;
    case 'cancelled':
      return EXIT.interrupted;
  }
}

/** How many there are of each: `3 passed, 1 failed`, in the order in which they come first. */
export function tally(words: Iterable<string>): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${count} ${word}`).join(', ');
}
