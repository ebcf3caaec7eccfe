import {
  CancellationScope,
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  continueAsNew,
  defineQuery,
  executeChild,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { QUERIES, WORKFLOWS, retryOfRun } from '../domain/names.js';
import type { RunRequest } from '../domain/run.js';
import {
  runRequest,
  type RetriedRun,
  type SuiteOutcome,
  type SuiteProgress,
  type SuiteRequest,
  type SuiteRun,
  type SuiteRunOutcome,
} from '../domain/suite.js';
import { worstVerdict, type Verdict } from '../domain/verdict.js';
import { createPauseGate } from './pause-gate.js';
import type { profileTest } from './profile-test.js';
import { attribute, setAttribute } from './search-attributes.js';
import { REPLAYED, wasReplayed } from './steps.js';

/** So many runs that have ended are listed in the details that the UI shows; all that go on are. */
const SHOWN = 50;

/**
 * Several runs started together, `parallel` of them at a time. One that fails does not stop the others unless that is asked for;
 * cancelling the suite cancels what runs, and what had not begun is `cancelled` too. A suite whose history grows long lets the
 * runs end that go on, and continues in another execution with the rest.
 */
export async function testSuite(request: SuiteRequest): Promise<SuiteOutcome> {
  const suite = createSuite(request);
  setHandler(defineQuery<SuiteOutcome>(QUERIES.suite), suite.outcome);
  setHandler(defineQuery<SuiteProgress>(QUERIES.suiteProgress), suite.progress);
  await suite.run();
  // A pause is this execution's: the next one begins when it is over.
  if (suite.unfinished() && (await suite.mayGoOn()) && !CancellationScope.current().consideredCancelled) {
    await continueAsNew<typeof testSuite>(suite.rest());
  }
  const result = suite.outcome();
  setAttribute(request.searchAttributes, 'verdict', result.verdict);
  return result;
}

function createSuite(request: SuiteRequest) {
  const ended: (Verdict | null)[] = request.runs.map((_, index) => request.ended?.[index] ?? null);
  const going = new Map<string, SuiteRun>();
  const retries = new Map<string, readonly RetriedRun[]>(Object.entries(request.retried ?? {}));
  const pauseGate = createPauseGate(() => undefined);
  const runs = new CancellationScope();
  let stopped = false;
  let lately: readonly string[] = [];
  const tell = () => setCurrentDetails(suiteDetails(request, ended, [...going.keys()]));
  tell();

  async function lane(waiting: number[]): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (stopped || !(await mayGoOn()) || workflowInfo().continueAsNewSuggested) return;
      const run = request.runs[next] as SuiteRun;
      ended[next] = await untilNoError(run);
      lately = [...lately, run.run].slice(-SHOWN);
      if (request.failFast === true && (ended[next] === 'failed' || ended[next] === 'error')) {
        stopped = true;
        runs.cancel();
      }
      tell();
    }
  }

  /** False where the suite was cancelled while it was paused. */
  async function mayGoOn(): Promise<boolean> {
    try {
      await pauseGate.go();
      return true;
    } catch (error) {
      if (isCancellation(error)) return false;
      throw error;
    }
  }

  /** A fault of the bench is no word on the profile: such a run is done again, as another one. A failure is never retried. */
  async function untilNoError(first: SuiteRun): Promise<Verdict> {
    let verdict = await verdictOf(first);
    for (let retry = 1; verdict === 'error' && retry <= (request.retryErrors ?? 0); retry++) {
      const again = { ...first, run: retryOfRun(first.run, retry) };
      const before = retries.get(first.run) ?? [];
      verdict = await verdictOf(again);
      retries.set(first.run, [...before, { run: again.run, verdict: shown(verdict) }]);
    }
    return shown(verdict);
  }

  async function verdictOf(run: SuiteRun): Promise<Verdict | typeof REPLAYED> {
    going.set(run.run, run);
    tell();
    try {
      return await childVerdict(runRequest(request, run));
    } finally {
      going.delete(run.run);
    }
  }

  const verdictAt = (index: number): Verdict => ended[index] ?? 'cancelled';

  function outcomesOf({ run, profile: index }: SuiteRun, at: number): readonly SuiteRunOutcome[] {
    const profile = request.profiles[index];
    const about = { profile: profile?.name ?? '', driver: profile?.driver ?? 'sandbox' } as const;
    const again = retries.get(run) ?? [];
    const chain = [{ run, verdict: again.length > 0 ? ('error' as const) : verdictAt(at) }, ...again];
    return chain.map((one, place) => {
      const next = chain[place + 1];
      return { run: one.run, ...about, verdict: one.verdict, ...(next ? { retriedAs: next.run } : {}) };
    });
  }

  return {
    async run(): Promise<void> {
      const waiting = ended.flatMap((verdict, index) => (verdict === null ? [index] : []));
      const lanes = Math.min(request.parallel, waiting.length);
      await runs.run(() => Promise.all(Array.from({ length: lanes }, () => lane(waiting))));
    },
    mayGoOn,
    /** Whether there is more to do than one execution should. */
    unfinished: () => !stopped && ended.includes(null),
    rest: (): SuiteRequest => ({ ...request, ended, retried: Object.fromEntries(retries) }),
    progress: (): SuiteProgress => ({
      going: [...going.keys()],
      lately,
      ended: ended.filter((verdict) => verdict !== null).length,
      of: ended.length,
    }),
    outcome: (): SuiteOutcome => {
      const verdicts = ended.map((_, index) => verdictAt(index));
      // What a failure stopped says nothing of its own.
      const counted = stopped ? verdicts.filter((verdict) => verdict !== 'cancelled') : verdicts;
      return { suite: request.suite, verdict: worstVerdict(counted), runs: request.runs.flatMap(outcomesOf) };
    },
  };
}

/** One that had ended before is not done again under another name. */
function shown(verdict: Verdict | typeof REPLAYED): Verdict {
  return verdict === REPLAYED ? 'error' : verdict;
}

async function childVerdict(request: RunRequest): Promise<Verdict | typeof REPLAYED> {
  try {
    const { verdict } = await executeChild<typeof profileTest>(WORKFLOWS.run, {
      workflowId: request.run,
      args: [request],
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `test ${request.profile.name} on ${request.driver}`,
      ...(request.searchAttributes
        ? { typedSearchAttributes: [attribute('profile', request.profile.name), attribute('suite', request.suite)] }
        : {}),
    });
    return verdict ?? 'error';
  } catch (error) {
    if (wasReplayed(error)) return REPLAYED;
    return isCancellation(error) ? 'cancelled' : 'error';
  }
}

function suiteDetails(request: SuiteRequest, ended: readonly (Verdict | null)[], going: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const verdict of ended) if (verdict !== null) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  const told = [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
  const past = ended.filter((verdict) => verdict !== null).length;
  const rows = request.runs.flatMap(({ run, profile }, index) => {
    const verdict = ended[index];
    if (verdict === null || verdict === undefined) return going.includes(run) ? [row(request, run, profile, '…')] : [];
    return [row(request, run, profile, verdict)];
  });
  const more = rows.length > SHOWN ? [`the last ${SHOWN} of ${rows.length} are shown`, ''] : [];
  const heading = ['| profile | driver | verdict | run |', '|---|---|---|---|'];
  return [
    `${past} of ${ended.length} have ended${told === '' ? '' : `: ${told}`}`,
    '',
    ...more,
    ...heading,
    ...rows.slice(-SHOWN),
  ].join('\n');
}

function row({ profiles }: SuiteRequest, run: string, index: number, verdict: string): string {
  const profile = profiles[index];
  return `| ${profile?.name ?? ''} | ${profile?.driver ?? ''} | ${verdict} | \`${run}\` |`;
}
