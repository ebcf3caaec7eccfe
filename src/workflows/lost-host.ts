import {
  CancellationScope,
  ParentClosePolicy,
  isCancellation,
  proxyActivities,
  startChild,
} from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import type { HostActivities, Place } from '../activities/index.js';
import { hostTaskQueue } from '../domain/names.js';
import type { RunReport, RunRequest } from '../domain/run.js';
import { HEARTBEAT, LONGEST_RUN_MS, PATIENT_RETRY, acquireMachine, hostSteps, type HostSteps } from './steps.js';

/** Out of a step whose host is gone: the run may go on on another. */
export class HostLost extends Error {
  override readonly name = 'HostLost';

  readonly place: Place;

  /** @param place where the run may go on */
  constructor(place: Place) {
    super(`its host is gone; ${place.host} can have it`);
    this.place = place;
  }
}

/** What is asked of the run whose steps they are. */
export interface Waiter {
  /** As it stands. */
  readonly request: () => RunRequest;
  /** The hosts that it has lost before. */
  readonly before: readonly string[];
  /** Called when the host that was waited for is there again. */
  readonly back: () => void;
}

/**
 * The steps on a host that may vanish. One that no worker takes, or whose workers die again and again, is asked about: where its host
 * is there it is done again, where another can have the run it throws `HostLost`, and else it waits.
 */
export function stepsUntilLost(place: Place, { request, before, back }: Waiter): HostSteps {
  const steps = hostSteps(place.taskQueue);
  const summary = `is ${place.host} still there?`;
  // Steps side by side, as in a race, ask once; the end of one of them is no reason not to know.
  const scope = CancellationScope.current();
  let asking: Promise<Place> | undefined;
  const ask = () => acquireMachine.executeWithOptions({ summary }, [request(), { held: place.host, before }]);
  const whereNow = () => (asking ??= scope.run(ask).finally(() => (asking = undefined)));
  const patient = async (step: () => Promise<unknown>): Promise<unknown> => {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        const timeout = timeoutOf(error);
        if (timeout === undefined) throw error;
        const now = await whereNow();
        if (now.host !== place.host) throw new HostLost(now);
        if (timeout === 'HEARTBEAT') throw error;
        back();
      }
    }
  };
  type Step = (...args: unknown[]) => Promise<unknown>;
  return new Proxy(steps, {
    get: (_, name) => {
      const step = steps[name as keyof HostSteps] as unknown as { readonly executeWithOptions: Step };
      return { executeWithOptions: (...args: unknown[]) => patient(() => step.executeWithOptions(...args)) };
    },
  });
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

/** So long a host that was lost may stay away until what is on it is no longer waited for. */
const AWAY = '30 days';

/** Sees to it that what a run left on a lost host goes when that is back, whatever becomes of the run. */
export async function clearLater(left: LeftBehind, run: string): Promise<void> {
  await startChild(leftBehind, {
    workflowId: `${run}-left-on-${left.host}`,
    args: [left],
    parentClosePolicy: ParentClosePolicy.ABANDON,
    workflowExecutionTimeout: AWAY,
    staticSummary: `what ${run} left on ${left.host}`,
  });
}

/** Waits for a lost host, and takes away what a run left there. */
export async function leftBehind({ host, machines, report }: LeftBehind): Promise<void> {
  const steps = proxyActivities<HostActivities>({
    taskQueue: hostTaskQueue(host),
    startToCloseTimeout: LONGEST_RUN_MS,
    ...HEARTBEAT,
    retry: PATIENT_RETRY,
  });
  const faults: unknown[] = [];
  // What one machine does not let happen is no reason to leave the others.
  const tried = (step: Promise<void>) => step.catch((error: unknown) => void faults.push(error));
  for (const { request, fate } of machines) {
    await tried(steps.releaseMachine.executeWithOptions({ summary: fate }, [request, fate]));
  }
  const [first] = machines;
  if (first) await tried(steps.writeReports.executeWithOptions({ summary: report.state }, [first.request, report]));
  if (faults.length > 0) throw ApplicationFailure.fromError(faults[0]);
}
