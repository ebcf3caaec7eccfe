import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleAlreadyRunning, ScheduleNotFoundError, type ScheduleDescription } from '@temporalio/client';
import type { ServerLink } from './connection.js';
import { hasCode, messageOf, NixproofError } from '../domain/error.js';
import { SHARED_TASK_QUEUE, WORKFLOWS } from '../domain/names.js';
import { isRefused, orderIn, startOf } from '../domain/order.js';
import type { Firing, Overlap, ScheduledSuite, Timing } from '../domain/schedule.js';
import { waitUntil } from '../host/process.js';
import { ours, sealedResult } from './sealing.js';

/** What the server calls each. */
const SERVER_OVERLAPS = {
  skip: 'SKIP',
  'buffer-one': 'BUFFER_ONE',
  'buffer-all': 'BUFFER_ALL',
  'cancel-other': 'CANCEL_OTHER',
} as const satisfies Record<Overlap, string>;

/** A schedule as the server has it. */
export interface Schedule {
  readonly name: string;
  readonly timing: Timing;
  readonly suite: ScheduledSuite;
  readonly paused: boolean;
  /** ISO 8601, soonest first. */
  readonly next: readonly string[];
  /** Newest first. */
  readonly firings: readonly PastFiring[];
}

export interface PastFiring {
  /** Its workflow's id. */
  readonly firing: string;
  /** ISO 8601. */
  readonly at: string;
  /** Whether it goes on. */
  readonly open: boolean;
  /** Null while it goes on, and where its workflow was ended from outside. */
  readonly result: Firing | null;
}

/** How many of the last firings are looked at; the server keeps ten. */
const FIRINGS = 5;
const A_SECOND_MS = 1000;
const ACT_MS = 60_000;

/** The id that the server has for it. */
export function scheduleId(name: string): string {
  return `schedule-${name}`;
}

/**
 * @throws NixproofError `CONFIG_SCHEDULE_EXISTS`; `CONFIG_FLAG` where the server does not take it, a wrong cron expression above all
 */
export async function createSchedule(
  { client }: ServerLink,
  timing: Timing,
  suite: ScheduledSuite,
  paused: boolean,
): Promise<void> {
  const { cron, everyMs, timezone, overlap, catchupMs, jitterMs } = timing;
  try {
    await client.schedule.create({
      scheduleId: scheduleId(suite.schedule),
      spec: {
        timezone,
        ...(cron === undefined ? {} : { cronExpressions: [cron] }),
        ...(everyMs === undefined ? {} : { intervals: [{ every: everyMs }] }),
        ...(jitterMs === undefined ? {} : { jitter: jitterMs }),
      },
      action: {
        type: 'startWorkflow',
        workflowType: WORKFLOWS.scheduled,
        workflowId: scheduleId(suite.schedule),
        taskQueue: SHARED_TASK_QUEUE,
        args: [suite],
        staticSummary: `a firing of ${suite.schedule}`,
      },
      // The server would make up for a year.
      policies: { overlap: SERVER_OVERLAPS[overlap], catchupWindow: catchupMs },
      state: { paused },
      // The server keeps a cron expression as the calendar it means.
      memo: { timing },
    });
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) {
      throw new NixproofError('CONFIG_SCHEDULE_EXISTS', `there is a schedule ${suite.schedule} already`, {
        hint: `give this one another name, or first: nixproof schedule delete ${suite.schedule}`,
      });
    }
    const cause = error instanceof Error && error.cause !== undefined ? messageOf(error.cause) : messageOf(error);
    throw new NixproofError('CONFIG_FLAG', `the server does not take this schedule: ${cause}`, {
      hint: 'a cron expression has five fields: minute, hour, day of the month, month, day of the week',
    });
  }
}

/** The names of all schedules of this key. What was made or deleted just now may not show yet. */
export async function scheduleNames({ client }: ServerLink): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { scheduleId: id, action, memo } of client.schedule.list()) {
    const isOurs = memo?.['timing'] !== undefined && !isRefused(memo['timing']);
    if (isOurs && action?.workflowType === WORKFLOWS.scheduled) names.push(id.slice(scheduleId('').length));
  }
  return names.sort();
}

/** Undefined where there is no such schedule. */
export async function findSchedule(link: ServerLink, name: string): Promise<Schedule | undefined> {
  const found = await describe(link, name);
  const timing = ours(found?.memo?.['timing']) as Timing | undefined;
  if (!found || !timing || found.action.workflowType !== WORKFLOWS.scheduled) return undefined;
  const { action, state, info } = found;
  const [suite] = orderIn(startOf(WORKFLOWS.scheduled), action.args ?? [])?.values ?? [];
  if (suite === undefined) return undefined;
  const newest = info.recentActions.slice(-FIRINGS).reverse();
  return {
    name,
    timing,
    suite: suite as ScheduledSuite,
    paused: state.paused,
    next: state.paused ? [] : info.nextActionTimes.map((time) => time.toISOString()),
    firings: await Promise.all(
      newest.map(({ takenAt, action: { workflow } }) => pastFiring(link, workflow.workflowId, takenAt)),
    ),
  };
}

export async function setPaused({ client }: ServerLink, name: string, paused: boolean): Promise<void> {
  const handle = client.schedule.getHandle(scheduleId(name));
  await (paused ? handle.pause('nixproof schedule pause') : handle.unpause('nixproof schedule resume'));
}

/** A firing that goes on goes on. */
export async function deleteSchedule({ client }: ServerLink, name: string): Promise<void> {
  await client.schedule.getHandle(scheduleId(name)).delete();
}

/** Fires now. Gives the workflow's id; undefined where the firing before goes on, and it was left out or put off. */
export async function trigger(link: ServerLink, name: string): Promise<string | undefined> {
  const before = await describe(link, name);
  const known = new Set(before?.info.recentActions.map(({ action }) => action.workflow.workflowId));
  // The server names a firing by its second, and leaves out a second one of that name.
  const last = before?.info.recentActions.at(-1)?.takenAt.getTime() ?? 0;
  if (Date.now() - last < A_SECOND_MS) await delay(A_SECOND_MS);
  // Unless told otherwise, the client lets it go on beside the others, and the server hands on nothing.
  await link.client.schedule.getHandle(scheduleId(name)).trigger(before?.policies.overlap);
  let started: string | undefined;
  await waitUntil(async () => {
    const now = await describe(link, name);
    const ids = now?.info.recentActions.map(({ action }) => action.workflow.workflowId) ?? [];
    started = ids.findLast((id) => !known.has(id));
    const leftOut = now?.info.numActionsSkippedOverlap !== before?.info.numActionsSkippedOverlap;
    // One that cancels the other waits only until that has tidied up.
    const putOff = before?.policies.overlap !== 'CANCEL_OTHER' && String(now?.raw.info?.bufferSize ?? 0) !== '0';
    return started !== undefined || leftOut || putOff;
  }, ACT_MS);
  return started;
}

async function describe({ client }: ServerLink, name: string): Promise<ScheduleDescription | undefined> {
  try {
    return await client.schedule.getHandle(scheduleId(name)).describe();
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return undefined;
    throw error;
  }
}

async function pastFiring({ client }: ServerLink, firing: string, at: Date): Promise<PastFiring> {
  const handle = client.workflow.getHandle(firing);
  const status = await handle.describe().then(
    ({ status: { name } }) => name,
    // Its time on record is over.
    () => 'GONE',
  );
  const result =
    status === 'COMPLETED' ? await sealedResult<Firing>(handle, WORKFLOWS.scheduled).catch(nothingOfOthers) : null;
  return { firing, at: at.toISOString(), open: status === 'RUNNING', result };
}

/** Others who reach the server may have ended a firing: it has no result, and the others keep theirs. */
function nothingOfOthers(error: unknown): null {
  if (hasCode(error, 'SERVER_KEY_DIFFERS')) return null;
  throw error;
}
