import type { BootOutcome } from '../../domain/attempt.js';
import { hasCode } from '../../domain/error.js';
import { isIncomplete } from '../../domain/diagnosis.js';
import { diagnoseFailed } from '../install/diagnose-attempt.js';
import type { Machine, Work } from '../../machines/machine.js';

/** A system that does not come up from its own disk is what the test found out, not a fault of the bench. */
export async function bootInstalled(
  machine: Machine,
  work: Work,
  deadlineMs: number | undefined,
): Promise<BootOutcome> {
  try {
    await machine.restartInstalled(work, deadlineMs);
    return { booted: true };
  } catch (error) {
    work.signal.throwIfAborted();
    if (!hasCode(error, 'MACHINE_NEVER_BOOTED')) throw error;
    const { console } = error.details;
    const lines = Array.isArray(console) ? (console as readonly string[]) : [];
    const told = await diagnoseFailed({ text: lines.join('\n') }, work.signal);
    const diagnoses = told.filter((diagnosis) => diagnosis.class !== 'unknown' || isIncomplete(diagnosis));
    return { booted: false, line: lines.at(-1) ?? error.message, reason: error.message, diagnoses };
  }
}
