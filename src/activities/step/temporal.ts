import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { COUNTED_FAULTS, isRetryable } from '../../domain/error.js';
import { SIGNALS, WAITING_FOR_ROOM } from '../../domain/names.js';
import { codedErrorOf } from '../../host/errno.js';
import { withPatience } from '../../host/disk-space.js';
import type { Work } from '../../machines/machine.js';

/** Far below the heartbeat timeout; heartbeats go out on a timer, because cancellation comes back only with one. */
const HEARTBEAT_MS = 1000;
/** So many steps of a worker at a time make that often; more of them make it less, down to every third second. */
const OFTEN = { steps: 100, mostMs: 3000 };
let steps = 0;

/** So often one try of a step tells its workflow that it waits for room: what keeps the history flat. */
const TOLD = 5;

/**
 * Runs one activity: heartbeats on a timer, the cancellation as an AbortSignal, and our faults as failures that the server
 * understands. What `beat` was last given is the heartbeat's details. While a disk has no room for what the activity writes it
 * waits, and its workflow is told; then it may be done again.
 */
export async function inActivity<T>(body: (work: Work, beat: (details: unknown) => void) => Promise<T>): Promise<T> {
  const context = Context.current();
  let details: unknown = '';
  steps += 1;
  const later = () => setTimeout(heartbeat, Math.min(OFTEN.mostMs, HEARTBEAT_MS * Math.max(1, steps / OFTEN.steps)));
  const heartbeat = () => {
    context.heartbeat(details);
    timer = later();
  };
  let timer = later();
  const beat = (value: unknown) => {
    details = value;
  };
  const signal = context.cancellationSignal;
  const work: Work = { signal, progress: beat };
  const tell = createRoomNews(context);
  let before: unknown;
  let waits = false;
  const onFull = (full: boolean) => {
    // What is cancelled while it waits has waited.
    waits = full || (waits && signal.aborted);
    if (details !== WAITING_FOR_ROOM) before = details;
    beat(full ? WAITING_FOR_ROOM : before);
    tell(full);
  };
  try {
    return await withPatience({ signal, onFull }, () => body(work, beat));
  } catch (error) {
    throw context.cancellationSignal.aborted ? cancellationOf(context, error, waits) : failureOf(context, error);
  } finally {
    steps -= 1;
    clearTimeout(timer);
  }
}

/** What tells the workflow whether one of its steps waits for room: as its state, which goes back to what it was. */
function createRoomNews(context: Context): (full: boolean) => void {
  let left = TOLD;
  let told = false;
  let last: Promise<unknown> = Promise.resolve();
  const send = async (state: string) => {
    const { workflowExecution } = context.info;
    if (workflowExecution)
      await context.client.workflow.getHandle(workflowExecution.workflowId).signal(SIGNALS.waiting, state);
  };
  return (full) => {
    if (full === told || (full && left === 0)) return;
    if (full) left -= 1;
    told = full;
    last = last.then(() => send(full ? WAITING_FOR_ROOM : '')).catch(() => undefined);
  };
}

/** The type of the failure by which a worker that ends hands an activity over to the next. */
export const WORKER_SHUTDOWN = 'INTERNAL_WORKER_SHUTDOWN';

/** Why an activity is to stop: `CANCELLED` by a request, `TIMED_OUT` and taken over by a retry, `WORKER_SHUTDOWN` … */
export function cancellationReason(signal: AbortSignal): string {
  return signal.reason instanceof CancelledFailure ? signal.reason.message : '';
}

function cancellationOf(context: Context, error: unknown, waits: boolean): unknown {
  const reason = cancellationReason(context.cancellationSignal);
  if (reason !== 'WORKER_SHUTDOWN') {
    return waits ? new CancelledFailure(reason, [WAITING_FOR_ROOM]) : context.cancellationSignal.reason;
  }
  return ApplicationFailure.create({
    type: WORKER_SHUTDOWN,
    message: 'the worker is shutting down',
    cause: error as Error,
  });
}

/**
 * A fault as the server keeps it: its code is the type, its hint goes with the details, its family says whether to retry, unless
 * the workflow says that.
 */
function failureOf({ info }: Context, error: unknown): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const { code, message, details, hint } = codedErrorOf(error);
  const counted = info.retryPolicy?.nonRetryableErrorTypes?.includes(COUNTED_FAULTS) ?? false;
  return ApplicationFailure.create({
    type: code,
    message,
    nonRetryable: counted || !isRetryable(code),
    details: [{ ...details, ...(hint === undefined ? {} : { hint }) }],
    cause: error as Error,
  });
}
