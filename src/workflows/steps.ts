import { ActivityCancellationType, proxyActivities, sleep } from '@temporalio/workflow';
import {
  ActivityFailure,
  ChildWorkflowFailure,
  ApplicationFailure,
  CancelledFailure,
  TimeoutFailure,
} from '@temporalio/common';
import type { HostActivities, SharedActivities } from '../activities/index.js';
import { COUNTED_FAULTS, isRetryable } from '../domain/error.js';
import { SHARED_TASK_QUEUE } from '../domain/names.js';
import type { FaultRecord } from '../domain/run.js';

export const MINUTE_MS = 60_000;

/** Heartbeats come on a timer every second to third; a worker that misses them for so long is taken for dead. */
export const HEARTBEAT = { heartbeatTimeout: 10_000 };
/** A worker's end or death is no failure of a step: its limit is its time. */
export const PATIENT_RETRY = {
  initialInterval: 500,
  backoffCoefficient: 1.5,
  maximumInterval: 10_000,
  maximumAttempts: 1000,
};

/**
 * The same for a step whose own faults its workflow counts: the server does not retry them, nor a step that took all its time. A step
 * that ends its worker each time is not tried for ever.
 */
export const COUNTED_RETRY = {
  ...PATIENT_RETRY,
  maximumAttempts: 200,
  nonRetryableErrorTypes: [COUNTED_FAULTS, 'TemporalTimeout:StartToClose'],
};

/** What a run without `--timeout` may take: every step has its own limit, this one ends what has none. */
export const LONGEST_RUN_MS = 7 * 24 * 60 * MINUTE_MS;

/**
 * A host's worker that is there takes a step at once, however much it has to do: where none takes it for so long there is none. A
 * worker that ends and starts again is back sooner.
 */
const TAKEN_WITHIN_MS = 45_000;

/** What a step may take for which the profile has no limit; one for which it has one may take that and so much more. */
export const STEP_MS = 60 * MINUTE_MS;

/** The steps on the host that has the machine. */
export type HostSteps = ReturnType<typeof hostSteps>;

/** Answers with the host that is to have the machine; asked with one that is gone, with that again or another. */
export const acquireMachine = proxyActivities<SharedActivities>({
  taskQueue: SHARED_TASK_QUEUE,
  // It waits where every host is drained, or lacks a label.
  startToCloseTimeout: LONGEST_RUN_MS,
  ...HEARTBEAT,
  retry: PATIENT_RETRY,
}).acquireMachine;

/** The steps on the host whose queue this is. */
export function hostSteps(taskQueue: string) {
  return proxyActivities<HostActivities>({
    taskQueue,
    startToCloseTimeout: STEP_MS,
    scheduleToStartTimeout: TAKEN_WITHIN_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...HEARTBEAT,
    retry: COUNTED_RETRY,
  });
}

/** So many tries a step has that ends with a fault of its own. */
const TRIES = 5;
const FIRST_PAUSE_MS = 1000;

/** Does a step until it has no fault any more, or has had one in each of its tries. */
export async function inTries<T>(step: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await step();
    } catch (error) {
      if (tried === TRIES || !isCounted(error)) throw error;
      await sleep(FIRST_PAUSE_MS * 2 ** (tried - 1));
    }
  }
}

/** Whether it is a fault after which another look can help, and the server left it to us. */
function isCounted(error: unknown): boolean {
  const cause = causeOf(error);
  if (cause instanceof TimeoutFailure) return cause.timeoutType === 'START_TO_CLOSE';
  return cause instanceof ApplicationFailure && cause.nonRetryable === true && isRetryable(cause.type ?? '');
}

/** What a step or another workflow failed with; any other error is its own cause. */
function causeOf(error: unknown): unknown {
  return error instanceof ActivityFailure || error instanceof ChildWorkflowFailure ? error.cause : error;
}

/** What a step that was cancelled said of itself. */
export function detailsOfCancellation(error: unknown): readonly unknown[] {
  const cause = causeOf(error);
  return cause instanceof CancelledFailure ? cause.details : [];
}

/** What a run is refused with that has ended before. */
export const REPLAYED = 'REQUEST_REPLAYED';

/** The bench's own fault in an error, as a report has it. */
export function faultOf(error: unknown): FaultRecord {
  const cause = causeOf(error);
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

/** Whether a run, or a step of it, was refused because the run had ended before. */
export function wasReplayed(error: unknown): boolean {
  return faultOf(error).code === REPLAYED;
}
