import {
  CancellationScope,
  ParentClosePolicy,
  isCancellation,
  proxyActivities,
  sleep,
  startChild,
} from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import type { HostActivities } from '../activities/index.js';
import type { Place } from '../activities/place/place-run.js';
import { hostTaskQueue } from '../domain/names.js';
import type { RunReport, RunRequest } from '../domain/run.js';
import {
  COUNTED_RETRY,
  HEARTBEAT,
  LONGEST_RUN_MS,
  MINUTE_MS,
  acquireMachine,
  hostSteps,
  inTries,
  type HostSteps,
} from './steps.js';

/** Out of a step whose host is gone. Its cause says why the run can go on nowhere, where that is so. */
export class HostLost extends Error {
  override readonly name = 'HostLost';

  /** Where the run may go on; absent: nowhere, and its host is not waited for. */
  readonly next: Place | undefined;

  constructor(next: Place | undefined, options?: ErrorOptions) {
    super(next ? `its host is gone; ${next.host} can have it` : 'its host is gone', options);
    this.next = next;
  }
}

/** What is asked of the run whose steps they are. */
export interface Waiter {
  /** As it stands. */
  readonly request: () => RunRequest;
  /** The hosts that it has lost before. */
  readonly before: readonly string[];
  /** Whether its time is up: its host is not waited for then. */
  readonly late: boolean;
  /** Called with true when the host does not do a step, with false when it is there again. */
  readonly missed: (gone: boolean) => void;
}

/**
 * The steps on a host that may vanish. One that no worker takes, or whose workers die again and again, is asked about: where its host
 * is there it is done again; where another can have the run, or the host is not to be waited for, it throws `HostLost`; else it waits.
 */
export function stepsUntilLost(place: Place, { request, before, late, missed }: Waiter): HostSteps {
  const steps = hostSteps(place.taskQueue);
  const summary = `is ${place.host} still there?`;
  const loss = { held: place.host, before, ...(late ? { late } : {}) };
  // Steps side by side, as in a race, ask once; the end of one of them is no reason not to know.
  const scope = CancellationScope.current();
  let asking: Promise<Place> | undefined;
  const ask = () => acquireMachine.executeWithOptions({ summary }, [request(), loss]).catch(nowhere);
  const whereNow = () => (asking ??= scope.run(ask).finally(() => (asking = undefined)));
  const patient = async (step: () => Promise<unknown>): Promise<unknown> => {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        const timeout = timeoutOf(error);
        if (timeout === undefined) throw error;
        // A worker that died while its step was being cancelled says nothing of its host.
        if (!scope.consideredCancelled) missed(true);
        const now = await whereNow();
        if (now.host !== place.host) throw new HostLost(now);
        missed(false);
        if (timeout === 'HEARTBEAT') throw error;
      }
    }
  };
  type Step = (...args: unknown[]) => Promise<unknown>;
  return new Proxy(steps, {
    get: (_, name) => {
      const step = steps[name as keyof HostSteps] as unknown as { readonly executeWithOptions: Step };
      return {
        executeWithOptions: (...args: unknown[]) => inTries(() => patient(() => step.executeWithOptions(...args))),
      };
    },
  });
}

function nowhere(error: unknown): never {
  const { cause } = error as ActivityFailure;
  if (cause instanceof ApplicationFailure && cause.type === 'HOST_LOST') throw new HostLost(undefined, { cause });
  throw error;
}

/** How a step timed out that may be its host's doing: nobody took it, or whoever did fell silent. */
function timeoutOf(error: unknown): 'SCHEDULE_TO_START' | 'HEARTBEAT' | undefined {
  if (isCancellation(error) || !(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure)) return;
  const { timeoutType } = error.cause;
  return timeoutType === 'SCHEDULE_TO_START' || timeoutType === 'HEARTBEAT' ? timeoutType : undefined;
}

/** What becomes of a machine when its run is over. */
export type Fate = Parameters<HostActivities['releaseMachine']>[1];

/** What a run has left on a host that was lost. */
export interface LeftBehind {
  readonly host: string;
  readonly machines: readonly { readonly request: RunRequest; readonly fate: Fate }[];
  /** What the run's folder there is to say. */
  readonly report: RunReport;
}

/** Between two tries to take away what does not go. */
const LONGEST_PAUSE_MS = 6 * 60 * MINUTE_MS;
/** So long a host that was lost may stay away until what is on it is no longer waited for. */
const AWAY = '30 days';

/** Sees to it that what a run left on a lost host goes when that is back, whatever becomes of the run. */
export function clearLater(left: LeftBehind): Promise<unknown> {
  const { host, report } = left;
  const options = {
    workflowId: `${report.run}-left-on-${host}`,
    args: [left] as [LeftBehind],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    workflowExecutionTimeout: AWAY,
    staticSummary: `what ${report.run} left on ${host}`,
  } as const;
  return CancellationScope.nonCancellable(() => startChild(leftBehind, options));
}

/** Waits for a lost host, and takes away what a run left there; again and again, where that does not go. */
export async function leftBehind({ host, machines, report }: LeftBehind): Promise<void> {
  const steps = proxyActivities<HostActivities>({
    taskQueue: hostTaskQueue(host),
    startToCloseTimeout: LONGEST_RUN_MS,
    ...HEARTBEAT,
    retry: COUNTED_RETRY,
  });
  const [first] = machines;
  const clear = async (): Promise<boolean> => {
    let left = 0;
    // What one machine does not let happen is no reason to leave the others.
    const tried = (step: Promise<void>, must: boolean) => step.catch(() => void (left += must ? 1 : 0));
    for (const { request, fate } of machines) {
      const release = steps.releaseMachine.executeWithOptions({ summary: fate }, [request, fate]);
      // One that cannot be frozen any more is kept as it is.
      await tried(release, fate === 'destroy');
    }
    const { state } = report;
    if (first) await tried(steps.writeReports.executeWithOptions({ summary: state }, [first.request, report]), true);
    return left === 0;
  };
  for (let pauseMs = MINUTE_MS; !(await clear()); pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2)) {
    await sleep(pauseMs);
  }
}
