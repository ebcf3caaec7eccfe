import { isCancellation } from '@temporalio/workflow';
import type { Candidate } from '../domain/heal.js';
import type { FaultRecord, RunRequest } from '../domain/run.js';
import type { HealSteps } from './heal-loop.js';
import { HostLost } from './lost-host.js';
import { faultOf, type HostSteps } from './steps.js';

/**
 * Asked for a heal, the bench's own faults are no reason to call a failed installation anything else.
 * @param request as it stands: which machine has the run may change
 * @param spare is given the machines beside that one
 */
export function healSteps(
  steps: HostSteps,
  request: () => RunRequest,
  note: (text: string) => void,
  spare: Set<string>,
): Omit<HealSteps, 'follow' | 'settleOn'> {
  const otherwise = async <T>(fallback: (fault: FaultRecord) => T, step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      if (isCancellation(error) || error instanceof HostLost) throw error;
      const fault = faultOf(error);
      note(`${fault.code}: ${fault.message}`);
      return fallback(fault);
    }
  };
  return {
    plan: (attempt, { record, diagnoses }, tried) =>
      otherwise<readonly Candidate[]>(
        () => [],
        () =>
          steps.planHeals.executeWithOptions({ summary: `what could heal ${record.class}` }, [
            request(),
            attempt,
            diagnoses,
            { phase: record.phase, tried },
          ]),
      ),
    apply: (application, name, machine) =>
      otherwise(
        ({ message }) => ({ ok: false, said: message, files: 0 }),
        () => steps.applyHeal.executeWithOptions({ summary: name }, [onMachine(request(), machine), application]),
      ),
    undo: (application, name) =>
      otherwise(
        () => undefined,
        () => steps.undoHeal.executeWithOptions({ summary: `undo ${name}` }, [request(), application]),
      ),
    fork: (forks) => {
      for (const { machine } of forks) spare.add(machine);
      return otherwise<readonly string[]>(
        () => [],
        () => steps.forkMachine.executeWithOptions({ summary: `${forks.length} more machines` }, [request(), forks]),
      );
    },
  };
}

/** The same run, done on another machine; its own one has no name beside the run's. */
export function onMachine(request: RunRequest, machine: string | undefined): RunRequest {
  if (machine === undefined) return request;
  const plain = { ...request };
  delete plain.machine;
  return machine === request.run ? plain : { ...plain, machine };
}
