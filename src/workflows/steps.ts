import { ActivityCancellationType, isCancellation, proxyActivities } from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import type { HostActivities, SharedActivities } from '../activities/index.js';
import type { Candidate } from '../domain/heal.js';
import { SHARED_TASK_QUEUE } from '../domain/names.js';
import type { FaultRecord, RunRequest } from '../domain/run.js';
import type { HealSteps } from './heal-loop.js';

export const MINUTE_MS = 60_000;

/** Heartbeats come on a timer every second; a worker that misses them for so long is taken for dead. */
const HEARTBEAT = {
  heartbeatTimeout: 10_000,
  retry: { initialInterval: 1000, backoffCoefficient: 2, maximumAttempts: 5 },
};
/** A worker's death is no failure of the installer: following it has no limit of tries but its own deadline. */
export const FOLLOW_RETRY = {
  initialInterval: 500,
  backoffCoefficient: 1.5,
  maximumInterval: 10_000,
  maximumAttempts: 1000,
};

/** What a run without `--timeout` may take: every step has its own limit, this one ends what has none. */
export const LONGEST_RUN_MS = 7 * 24 * 60 * MINUTE_MS;

/** The steps on the host that has the machine. */
export type HostSteps = ReturnType<typeof hostSteps>;

/** Answers with the host that is to have the machine. */
export const acquireMachine = proxyActivities<SharedActivities>({
  taskQueue: SHARED_TASK_QUEUE,
  // It waits where every host is drained, or lacks a label.
  startToCloseTimeout: LONGEST_RUN_MS,
  ...HEARTBEAT,
}).acquireMachine;

/** The steps on the host whose queue this is. */
export function hostSteps(taskQueue: string) {
  return proxyActivities<HostActivities>({
    taskQueue,
    startToCloseTimeout: 60 * MINUTE_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...HEARTBEAT,
  });
}

/** What healing asks the run itself for: its own machine may change in a race, and it knows how attempts are followed. */
type RaceSteps = Pick<HealSteps, 'follow' | 'settleOn'>;

/**
 * Asked for a heal, the bench's own faults are no reason to call a failed installation anything else.
 * @param request as it stands: which machine has the run may change
 */
export function healSteps(
  steps: HostSteps,
  request: () => RunRequest,
  note: (text: string) => void,
  ofRace: RaceSteps,
): HealSteps {
  const otherwise = async <T>(fallback: (fault: FaultRecord) => T, step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      if (isCancellation(error)) throw error;
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
    fork: (forks) =>
      otherwise<readonly string[]>(
        () => [],
        () => steps.forkMachine.executeWithOptions({ summary: `${forks.length} more machines` }, [request(), forks]),
      ),
    ...ofRace,
  };
}

/** The same run, done on another machine. */
export function onMachine(request: RunRequest, machine: string | undefined): RunRequest {
  return machine === undefined ? request : { ...request, machine };
}

/** The bench's own fault in an error, as a report has it. */
export function faultOf(error: unknown): FaultRecord {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = cause.details?.[0] as { hint?: string } | undefined;
    return {
      code: cause.type ?? 'INTERNAL_UNKNOWN',
      message: cause.message,
      ...(details?.hint === undefined ? {} : { hint: details.hint }),
    };
  }
  return { code: 'INTERNAL_UNKNOWN', message: cause instanceof Error ? cause.message : String(cause) };
}
