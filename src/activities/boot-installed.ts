import type { BootOutcome } from '../domain/attempt.js';
import { NixproofError } from '../domain/error.js';
import { clipped } from './diagnose-attempt.js';
import { diagnoseLog } from './diagnose-log.js';
import type { Machine, Work } from '../machines/machine.js';

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
    if (!(error instanceof NixproofError) || error.code !== 'MACHINE_NEVER_BOOTED') throw error;
    const { console } = error.details;
    const lines = Array.isArray(console) ? (console as readonly string[]) : [];
    const diagnoses = await diagnoseLog([Buffer.from(lines.join('\n'))], { failed: true });
    const known = diagnoses.filter((diagnosis) => diagnosis.class !== 'unknown');
    return { booted: false, line: lines.at(-1) ?? error.message, reason: error.message, diagnoses: clipped(known) };
  }
}
