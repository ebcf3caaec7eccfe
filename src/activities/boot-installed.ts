import type { BootOutcome } from '../domain/attempt.js';
import { NixproofError } from '../domain/error.js';
import type { Machine, Work } from '../machines/machine.js';

/** A system that does not come up from its own disk is what the test found out, not a fault of the bench. */
export async function bootInstalled(machine: Machine, work: Work): Promise<BootOutcome> {
  try {
    await machine.restartInstalled(work);
    return { booted: true };
  } catch (error) {
    work.signal.throwIfAborted();
    if (!(error instanceof NixproofError) || error.code !== 'MACHINE_NEVER_BOOTED') throw error;
    const console = error.details['console'];
    const line = Array.isArray(console)
      ? (console as readonly string[]).findLast((text) => text.trim() !== '')
      : undefined;
    return { booted: false, line: line ?? error.message, reason: error.message };
  }
}
