import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  executeChild,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  workflowInfo,
} from '@temporalio/workflow';
import type { SchedulingActivities } from '../activities/index.js';
import { SHARED_TASK_QUEUE, WORKFLOWS } from '../domain/names.js';
import { orderIn, resultOf } from '../domain/order.js';
import {
  changeText,
  changesOf,
  lastWord,
  type Firing,
  type Notification,
  type ProfileVerdict,
  type ScheduledSuite,
  type VerdictChange,
} from '../domain/schedule.js';
import { sourceText, type PinnedSource } from '../domain/source.js';
import { memoOf, suiteSummary, type SuiteOutcome, type SuiteRequest } from '../domain/suite.js';
import { worstVerdict } from '../domain/verdict.js';
import { attribute, setAttribute } from './search-attributes.js';
import { MINUTE_MS, faultOf } from './steps.js';
import { code } from './story.js';
import type { testSuite } from './test-suite.js';

const { planScheduled } = proxyActivities<SchedulingActivities>({
  taskQueue: SHARED_TASK_QUEUE,
  startToCloseTimeout: 60 * MINUTE_MS,
  heartbeatTimeout: 10_000,
  // A server that is away for a few minutes at night is no reason to give up.
  retry: { initialInterval: 1000, backoffCoefficient: 2, maximumInterval: MINUTE_MS, maximumAttempts: 10 },
});
const { notify } = proxyActivities<SchedulingActivities>({
  taskQueue: SHARED_TASK_QUEUE,
  startToCloseTimeout: 10 * MINUTE_MS,
  heartbeatTimeout: 10_000,
  retry: { initialInterval: 1000, backoffCoefficient: 2, maximumInterval: 2 * MINUTE_MS, maximumAttempts: 12 },
});

/**
 * One firing of a schedule: pins the source, tests what is in it, and tells what is not as it was at the firing before. Its result
 * is what the next firing compares with, so it always completes: cancellation too is a verdict.
 */
export async function scheduledSuite(scheduled: ScheduledSuite): Promise<Firing> {
  const last = orderIn(resultOf(WORKFLOWS.scheduled), [workflowInfo().lastResult]);
  const before = last?.values[0] as Firing | undefined;
  setCurrentDetails('pinning the source');
  const outcome = await fire(scheduled);
  const known = before?.profiles ?? [];
  const firing: Firing = {
    schedule: scheduled.schedule,
    ...outcome.told,
    profiles: outcome.complete ? lastWord(known, outcome.now) : [...known.filter(isProfile), ...outcome.now],
    changes: changesOf(known, outcome.now),
    undelivered: [],
  };
  setCurrentDetails(firingDetails(firing));
  const undelivered = await CancellationScope.nonCancellable(() => tellAll(scheduled, firing, before?.source ?? null));
  setAttribute(scheduled.searchAttributes, 'verdict', firing.verdict);
  const told = { ...firing, undelivered };
  setCurrentDetails(firingDetails(told));
  return told;
}

interface Outcome {
  readonly told: Pick<Firing, 'verdict' | 'suite' | 'source' | 'fault'>;
  readonly now: readonly ProfileVerdict[];
  /** Whether `now` has a word on every profile that there is. */
  readonly complete: boolean;
}

/** Nothing was tested, which is worth telling too. */
const BROKEN: readonly ProfileVerdict[] = [{ profile: null, verdict: 'error' }];

async function fire(scheduled: ScheduledSuite): Promise<Outcome> {
  let suite: SuiteRequest & { readonly source: PinnedSource };
  try {
    suite = await planScheduled.executeWithOptions({ summary: 'pin the source, plan the suite' }, [scheduled]);
  } catch (error) {
    const nothing = { suite: null, source: null };
    if (isCancellation(error)) return { told: { verdict: 'cancelled', ...nothing }, now: [], complete: false };
    const fault = faultOf(error);
    return { told: { verdict: 'error', ...nothing, fault }, now: BROKEN, complete: false };
  }
  const { repository, ref, commit } = suite.source;
  const source = { repository, ref, commit };
  setCurrentDetails(`source: ${code(sourceText(source))}\n\nsuite: \`${suite.suite}\``);
  try {
    const { verdict, runs } = await runSuite(suite);
    const now = verdict === 'cancelled' ? [] : [{ profile: null, verdict: 'passed' as const }, ...byProfile(runs)];
    return { told: { verdict, suite: suite.suite, source }, now, complete: verdict !== 'cancelled' };
  } catch (error) {
    const told = { suite: suite.suite, source };
    if (isCancellation(error)) return { told: { verdict: 'cancelled', ...told }, now: [], complete: false };
    return { told: { verdict: 'error', ...told, fault: faultOf(error) }, now: BROKEN, complete: false };
  }
}

function runSuite(suite: SuiteRequest): Promise<SuiteOutcome> {
  return executeChild<typeof testSuite>(WORKFLOWS.suite, {
    workflowId: suite.suite,
    args: [suite],
    cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: suiteSummary(suite),
    memo: memoOf(suite),
    ...(suite.searchAttributes ? { typedSearchAttributes: [attribute('suite', suite.suite)] } : {}),
  });
}

/** A profile with several runs is as good as its worst. One that was run again counts as the other. */
function byProfile(runs: SuiteOutcome['runs']): readonly ProfileVerdict[] {
  const counted = runs.filter(({ retriedAs }) => retriedAs === undefined);
  return [...new Set(counted.map(({ profile }) => profile))].map((profile) => {
    const its = counted.filter((run) => run.profile === profile);
    const verdict = worstVerdict(its.map((run) => run.verdict));
    const run = its.find((one) => one.verdict === verdict)?.run;
    return { profile, verdict, ...(run === undefined ? {} : { run }) };
  });
}

function isProfile({ profile }: ProfileVerdict): boolean {
  return profile !== null;
}

/** Every change to every receiver, side by side; gives what could not be delivered. */
async function tellAll(
  { schedule, notify: receivers }: ScheduledSuite,
  { suite, source, changes, fault }: Firing,
  sourceBefore: PinnedSource | null,
): Promise<readonly string[]> {
  const notificationOf = (change: VerdictChange): Notification => ({
    key: `${suite ?? workflowInfo().workflowId}/${change.profile ?? ''}/${change.change}`,
    text: changeText(schedule, suite, change, fault?.message),
    schedule,
    suite,
    ...change,
    source,
    sourceBefore,
  });
  const told = changes.map(notificationOf).flatMap((notification) =>
    receivers.map(async (receiver, index) => {
      try {
        await notify.executeWithOptions({ summary: notification.text.slice(0, 200) }, [receiver, notification]);
        return [];
      } catch (error) {
        return [`${notification.key} to receiver ${index + 1} (${receiver.kind}): ${faultOf(error).message}`];
      }
    }),
  );
  return (await Promise.all(told)).flat();
}

function firingDetails({ schedule, verdict, suite, source, changes, undelivered, fault }: Firing): string {
  return [
    `### ${schedule}: **${verdict}**`,
    ...(source === null ? [] : [`- source: ${code(sourceText(source))}`]),
    ...(suite === null ? [] : [`- suite: \`${suite}\``]),
    ...(fault === undefined ? [] : [`- ${fault.code}: ${code(fault.message)}`]),
    ...changes.map((change) => `- ${code(changeText(schedule, null, change))}`),
    ...undelivered.map((what) => `- not delivered: ${code(what)}`),
  ].join('\n');
}
