import { messageOf } from '../../domain/error.js';
import type { RunRequest } from '../../domain/run.js';
import type { Work } from '../../domain/work.js';
import { takeBackFaults } from '../inject/inject-faults.js';
import type { StepContext } from '../step/context.js';

/**
 * Takes the injected faults out of a machine that existed before the run and lives on. One that does not answer is its own
 * commands' to reset.
 */
export async function leaveAsItWas(
  { faults }: RunRequest,
  work: Work,
  onMachine: (use: (context: StepContext) => Promise<void>) => Promise<void>,
): Promise<void> {
  if (faults === undefined) return;
  try {
    await onMachine(takeBackFaults);
  } catch (error) {
    work.signal.throwIfAborted();
    work.progress(`the injected faults were not taken back: ${messageOf(error)}`);
  }
}
