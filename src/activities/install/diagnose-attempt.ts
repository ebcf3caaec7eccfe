import { incomplete, isIncomplete, type Diagnosis } from '../../domain/diagnosis.js';
import type { DiagnoseOrder } from '../../diagnosis/diagnose-log.js';
import { ReadingBrokenOff, readInThread } from '../../diagnosis/pool.js';

/** What travels through history is small: so many diagnoses, so many lines of each, so many characters. */
const LIMITS = { diagnoses: 3, evidence: 3, chars: 300, captures: 4 } as const;

/** How long a log is read: a hundred times as long as an installer's usual one takes. */
const BUDGET_MS = 30_000;
/** And so much longer where its thread does not even look at the clock. */
const GRACE_MS = 5000;

/**
 * Why what printed a log failed; empty where the log tells nothing, with one that says so where not
 * all of it was read.
 */
export async function diagnoseFailed(order: DiagnoseOrder, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  try {
    const bounded = { ...order, failed: true, budgetMs: BUDGET_MS };
    return clipped(await readInThread('diagnose', bounded, { signal, budgetMs: BUDGET_MS + GRACE_MS }));
  } catch (error) {
    if (!(error instanceof ReadingBrokenOff)) throw error;
    return [incomplete(error.message)];
  }
}

/** The best diagnoses, each cut to what may travel through history. */
function clipped(diagnoses: readonly Diagnosis[]): readonly Diagnosis[] {
  const unread = diagnoses.filter(isIncomplete);
  const told = diagnoses.filter((diagnosis) => !isIncomplete(diagnosis)).slice(0, LIMITS.diagnoses - unread.length);
  return [...told, ...unread].map((diagnosis) => ({
    ...diagnosis,
    why: diagnosis.why.slice(0, LIMITS.chars),
    evidence: diagnosis.evidence.slice(0, LIMITS.evidence).map((line) => line.slice(0, LIMITS.chars)),
    captures: Object.fromEntries(Object.entries(diagnosis.captures).slice(0, LIMITS.captures)),
  }));
}
