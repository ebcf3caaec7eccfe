import type { RunReport } from '../domain/run.js';
import type { SuiteReport } from '../domain/suite.js';
import { worstVerdict } from '../domain/verdict.js';
import type { Layout } from '../host/paths.js';
import { readRunReport } from '../records/artifacts.js';
import { changesSince } from '../records/changes.js';
import { openRunIndex, type RunIndex } from '../records/run-index.js';
import { repeatsOf } from '../reports/repeats.js';
import { slowerText, slowerThanBefore } from '../reports/trend.js';

/** Adds what only many runs together tell: how steady each profile is, and what changed since the runs before. */
export async function withComparison(layout: Layout, suite: SuiteReport): Promise<SuiteReport> {
  await using index = await openRunIndex(layout);
  return compared(index, suite);
}

/** A suite that has ended, from the runs recorded on this host; undefined where there is none of it. */
export async function recordedSuite(layout: Layout, suite: string): Promise<SuiteReport | undefined> {
  await using index = await openRunIndex(layout);
  const names = index.all('SELECT run FROM runs WHERE suite = ? ORDER BY started_at, run', suite);
  const found = await Promise.all(names.map(({ run }) => readRunReport(layout.runs, String(run))));
  const runs = found.filter((run): run is RunReport => run !== undefined);
  if (runs.length === 0) return undefined;
  const verdicts = runs.flatMap(({ verdict }) => (verdict === null ? [] : [verdict]));
  return compared(index, { suite, verdict: worstVerdict(verdicts), runs });
}

function compared(index: RunIndex, suite: SuiteReport): SuiteReport {
  const repeats = repeatsOf(suite.runs);
  const changes = changesSince(index, suite.runs, (durations) => {
    const slower = slowerThanBefore(durations);
    return slower && slowerText(slower);
  });
  return {
    ...suite,
    ...(repeats.length === 0 ? {} : { repeats }),
    ...(changes.length === 0 ? {} : { changes }),
  };
}
