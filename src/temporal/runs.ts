import { WorkflowFailedError, WorkflowNotFoundError } from '@temporalio/client';
import { CancelledFailure, defineSearchAttributeKey, TerminatedFailure } from '@temporalio/common';
import { NixproofError, messageOf } from '../domain/error.js';
import { completeReport } from '../domain/new-report.js';
import {
  QUERIES,
  SEARCH_ATTRIBUTES,
  SHARED_TASK_QUEUE,
  SIGNALS,
  WORKFLOWS,
  isName,
  suiteOfRun,
} from '../domain/names.js';
import type { DriverName } from '../domain/profile.js';
import type { RunReport, RunResult } from '../domain/run.js';
import {
  memoOf,
  suiteSummary,
  type SuiteMemo,
  type SuiteOutcome,
  type SuiteProgress,
  type SuiteRequest,
  type SuiteRunOutcome,
} from '../domain/suite.js';
import type { ServerLink } from './connection.js';
import { ours, sealedResult } from './sealing.js';

/** A query that no worker answers has no deadline of its own; the next one may be answered. */
const QUERY_MS = 5000;

/** Starts a suite. @throws NixproofError `SERVER_START_REFUSED` */
export async function startSuite(
  { client, searchAttributes: known }: ServerLink,
  request: SuiteRequest,
): Promise<void> {
  try {
    await client.workflow.start(WORKFLOWS.suite, {
      workflowId: request.suite,
      taskQueue: SHARED_TASK_QUEUE,
      args: [request],
      staticSummary: suiteSummary(request),
      memo: memoOf(request),
      ...(known
        ? {
            typedSearchAttributes: [
              { key: defineSearchAttributeKey(SEARCH_ATTRIBUTES.suite, 'KEYWORD'), value: request.suite },
            ],
          }
        : {}),
    });
  } catch (error) {
    throw new NixproofError('SERVER_START_REFUSED', `the server did not start the suite: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** A run as its suite has it on record, whether it has begun or not. */
export interface RequestedRun {
  readonly run: string;
  readonly profile: string;
  readonly driver: DriverName;
  readonly suite: string;
  /** Whether the suite goes on. */
  readonly open: boolean;
}

/** What a suite was asked to run, without a worker's help; undefined where the server has no such suite. */
async function requestedRuns({ client }: ServerLink, suite: string): Promise<readonly RequestedRun[] | undefined> {
  try {
    const { memo, status } = await client.workflow.getHandle(suite).describe();
    const { profiles = [], runs = [] } = openMemo(memo);
    const open = status.name === 'RUNNING' || status.name === 'CONTINUED_AS_NEW';
    return runs.map(([name, index]) => {
      const [profile = '', driver = 'sandbox'] = profiles[index] ?? [];
      return { run: `${name}${suite.slice('suite'.length)}`, profile, driver, suite, open };
    });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** @throws NixproofError `SERVER_KEY_DIFFERS` */
function openMemo(memo: Record<string, unknown> = {}): Partial<SuiteMemo> {
  return Object.fromEntries(Object.entries(memo).map(([name, value]) => [name, ours(value)]));
}

/** A run that a suite asked for, though it may not have begun. */
export async function requestedRun(link: ServerLink, run: string): Promise<RequestedRun | undefined> {
  return (await requestedRuns(link, suiteOfRun(run)))?.find((requested) => requested.run === run);
}

/** Waits for a suite's end. A suite that was terminated from outside is `cancelled`. */
export async function suiteOutcome(link: ServerLink, suite: string): Promise<SuiteOutcome> {
  try {
    return await sealedResult<SuiteOutcome>(link.client.workflow.getHandle(suite), WORKFLOWS.suite);
  } catch (error) {
    const { cause } = error instanceof WorkflowFailedError ? error : {};
    if (!(cause instanceof TerminatedFailure || cause instanceof CancelledFailure)) throw error;
    const runs = (await requestedRuns(link, suite)) ?? [];
    return { suite, verdict: 'cancelled', runs: await Promise.all(runs.map((run) => knownOutcome(link, run))) };
  }
}

/** A run of a suite that ended before its runs: cancelled, unless it has its verdict already. */
async function knownOutcome(link: ServerLink, { run, profile, driver }: RequestedRun): Promise<SuiteRunOutcome> {
  const report = await queryRun(link, run).catch(() => undefined);
  return { run, profile, driver, verdict: report?.verdict ?? 'cancelled' };
}

/** How far a suite has come; undefined where no worker answers, or the server has no such suite. */
export async function suiteProgress({ client }: ServerLink, suite: string): Promise<SuiteProgress | undefined> {
  try {
    const progress = await client.withDeadline(Date.now() + QUERY_MS, () =>
      client.workflow.getHandle(suite).query<Partial<SuiteProgress>>(QUERIES.suiteProgress),
    );
    // A worker of another version may answer: without numbers every run is asked for.
    return { going: [], lately: [], ended: 0, of: 0, ...progress };
  } catch {
    return undefined;
  }
}

/** A run as its workflow knows it, or undefined where the server has no such run (it has not begun, or is forgotten). */
export async function queryRun({ client }: ServerLink, run: string): Promise<RunReport | undefined> {
  try {
    const report = await client.withDeadline(Date.now() + QUERY_MS, () =>
      client.workflow.getHandle(run).query<Partial<RunReport>>(QUERIES.report),
    );
    return completeReport(report);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** Whether the server has a workflow of that id, going or ended; true where it cannot be asked. */
export async function isKnown({ client }: ServerLink, workflowId: string): Promise<boolean> {
  return client.workflow
    .getHandle(workflowId)
    .describe()
    .then(
      () => true,
      (error: unknown) => !(error instanceof WorkflowNotFoundError),
    );
}

/** The number of events in a workflow's history. */
export async function historyEvents({ client }: ServerLink, workflowId: string): Promise<number> {
  return (await client.workflow.getHandle(workflowId).describe()).historyLength;
}

/** Asks a run or suite to end; false where there is none that goes on. */
export async function cancel({ client }: ServerLink, workflowId: string): Promise<boolean> {
  const handle = client.workflow.getHandle(workflowId);
  try {
    if ((await handle.describe()).status.name !== 'RUNNING') return false;
    await handle.cancel();
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Signals a run, or a suite and its runs; gives how many of them go on and were reached. */
export async function signalAll(
  { client }: ServerLink,
  { id, runs }: FoundWorkflow,
  signal: 'pause' | 'resume' | 'force',
): Promise<number> {
  const reached = await Promise.all(
    [...new Set([id, ...runs.map(({ run }) => run)])].map(async (workflowId) => {
      try {
        await client.workflow.getHandle(workflowId).signal(SIGNALS[signal]);
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    }),
  );
  return reached.filter(Boolean).length;
}

/** Whether a run or a suite that goes on was asked to end before. */
export async function isCancelling({ client }: ServerLink, workflowId: string): Promise<boolean> {
  const { raw, status } = await client.workflow.getHandle(workflowId).describe();
  return status.name === 'RUNNING' && raw.workflowExtendedInfo?.cancelRequested === true;
}

/** Says yes or no to the heal that a run waits with; false where no such run goes on. */
export async function decide(
  { client }: ServerLink,
  run: string,
  decision: { readonly approve: boolean; readonly heal?: string },
): Promise<boolean> {
  try {
    // Sealed for this execution: whoever starts the run again cannot repeat it.
    const { runId } = await client.workflow.getHandle(run).describe();
    await client.workflow.getHandle(run, runId).signal(SIGNALS.decide, decision);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** A run or a suite found by its id. */
export interface FoundWorkflow {
  readonly id: string;
  readonly kind: 'run' | 'suite';
  readonly suite: string;
  readonly runs: readonly { readonly run: string; readonly profile: string }[];
}

/** What an id names on the server; undefined where it names nothing of ours. */
export async function describeWorkflow(link: ServerLink, id: string): Promise<FoundWorkflow | undefined> {
  const handle = link.client.workflow.getHandle(id);
  try {
    const { type } = await handle.describe();
    if (type === WORKFLOWS.suite) {
      return { id, kind: 'suite', suite: id, runs: (await requestedRuns(link, id)) ?? [] };
    }
    if (type !== WORKFLOWS.run) return undefined;
    const known = (await requestedRun(link, id)) ?? (await queryRun(link, id));
    return known && { id, kind: 'run', suite: known.suite, runs: [{ run: id, profile: known.profile }] };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/** Waits for the end of what was found. */
export async function waitFor(link: ServerLink, found: FoundWorkflow): Promise<SuiteOutcome> {
  if (found.kind === 'suite') return suiteOutcome(link, found.id);
  const handle = link.client.workflow.getHandle(found.id);
  const { suite, profile, driver, verdict } = await sealedResult<RunResult>(handle, WORKFLOWS.run);
  const known = verdict ?? 'error';
  return { suite, verdict: known, runs: [{ run: found.id, profile, driver, verdict: known }] };
}

/** The ids of the newest runs the server knows. */
export async function listRuns({ client }: ServerLink, limit: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for await (const { workflowId } of client.workflow.list({
    query: `WorkflowType = '${WORKFLOWS.run}'`,
    pageSize: limit,
  })) {
    // Others who reach the server may have started workflows of any name.
    if (!isName(workflowId)) continue;
    ids.push(workflowId);
    if (ids.length >= limit) break;
  }
  return ids;
}
