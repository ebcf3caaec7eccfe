import {
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  defineQuery,
  executeChild,
  isCancellation,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { QUERIES, WORKFLOWS } from '../domain/names.js';
import { worstVerdict, type Verdict } from '../domain/verdict.js';
import type { RunRequest, SuiteOutcome, SuiteRequest } from '../domain/run.js';
import { createHolding } from './holding.js';
import type { profileTest } from './profile-test.js';
import { attribute, setAttribute } from './search-attributes.js';

/**
 * Several runs started together, `parallel` of them at a time. One that fails does not stop the others; cancelling the
 * suite cancels what runs, and what had not begun is `cancelled` too.
 */
export async function testSuite(request: SuiteRequest): Promise<SuiteOutcome> {
  const verdicts = new Map<string, Verdict>();
  const outcome = (): SuiteOutcome => ({
    suite: request.suite,
    verdict: worstVerdict([...verdicts.values()]),
    runs: request.runs.map(({ run, profile, driver }) => ({
      run,
      profile: profile.name,
      driver,
      verdict: verdicts.get(run) ?? 'cancelled',
    })),
  });
  setHandler(defineQuery<SuiteOutcome>(QUERIES.suite), outcome);
  const tell = () => setCurrentDetails(suiteDetails(request, verdicts));
  const holding = createHolding(() => undefined);
  tell();
  const waiting = [...request.runs];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await holding.go();
      verdicts.set(next.run, await verdictOf(next));
      tell();
    }
  };
  await Promise.all(Array.from({ length: Math.min(request.parallel, waiting.length) }, lane));
  const result = outcome();
  setAttribute(request.runs[0]?.searchAttributes ?? false, 'verdict', result.verdict);
  return result;
}

async function verdictOf(request: RunRequest): Promise<Verdict> {
  try {
    const report = await executeChild<typeof profileTest>(WORKFLOWS.run, {
      workflowId: request.run,
      args: [request],
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: `test ${request.profile.name} on ${request.driver}`,
      ...(request.searchAttributes
        ? { typedSearchAttributes: [attribute('profile', request.profile.name), attribute('suite', request.suite)] }
        : {}),
    });
    return report.verdict ?? 'error';
  } catch (error) {
    return isCancellation(error) ? 'cancelled' : 'error';
  }
}

function suiteDetails(request: SuiteRequest, verdicts: ReadonlyMap<string, Verdict>): string {
  const row = ({ run, profile, driver }: RunRequest) =>
    `| ${profile.name} | ${driver} | ${verdicts.get(run) ?? '…'} | \`${run}\` |`;
  return ['| profile | driver | verdict | run |', '|---|---|---|---|', ...request.runs.map(row)].join('\n');
}
