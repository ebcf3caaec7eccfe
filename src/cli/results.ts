import { historyEvents, queryRun, type RequestedRun, type ServerLink } from '../client.js';
import type { Layout } from '../host/paths.js';
import { newReport, type RunIdentity } from '../domain/new-report.js';
import type { RunReport } from '../domain/run.js';
import { noteRetry, runRequest, type SuiteOutcome, type SuiteReport, type SuiteRequest } from '../domain/suite.js';
import { readRunReport } from '../records/artifacts.js';

/** A suite's report once it has ended: from this host's artifacts, else from the workflows themselves. */
export async function suiteReport(link: ServerLink, layout: Layout, outcome: SuiteOutcome): Promise<SuiteReport> {
  const runs = await Promise.all(
    outcome.runs.map(async ({ run, profile, driver, verdict, retriedAs }) => {
      const here = await readRunReport(layout.runs, run);
      // One without a verdict was left on this host by a run that ended on another.
      const report = here?.verdict ? here : ((await queryRun(link, run).catch(() => undefined)) ?? here);
      if (!report) return neverStarted({ run, profile, driver, suite: outcome.suite }, verdict);
      const events = await historyEvents(link, run).catch(() => report.historyEvents);
      return noteRetry({ ...report, verdict, state: 'done', historyEvents: events }, retriedAs);
    }),
  );
  return { suite: outcome.suite, verdict: outcome.verdict, runs };
}

/** What `--detach` prints: runs that have just been asked for. */
export function startedReport(request: SuiteRequest): SuiteReport {
  const { suite } = request;
  const runs = request.runs.map((one) => {
    const { run, profile, driver } = runRequest(request, one);
    return waitingReport({ run, profile: profile.name, driver, suite, open: true });
  });
  return { suite, verdict: null, runs };
}

/** A run that has not begun, and never will where its suite has ended. */
export function waitingReport({ open, ...of }: RequestedRun): RunReport {
  const report = neverStarted(of, open ? null : 'cancelled');
  return open ? { ...report, state: 'waiting' } : report;
}

function neverStarted(of: Omit<RunIdentity, 'startedAt'>, verdict: RunReport['verdict']): RunReport {
  return { ...newReport({ ...of, startedAt: new Date().toISOString() }), verdict, state: 'never started' };
}
