import { messageOf } from '../domain/error.js';
import type { RunReport } from '../domain/run.js';
import { retryOfRun } from '../domain/names.js';
import { noteRetry, type SuiteReport } from '../domain/suite.js';
import { worstVerdict } from '../domain/verdict.js';
import type { Layout } from '../host/paths.js';
import { readRunReport } from '../records/artifacts.js';
import { changesSince } from '../history/changes.js';
import { openRunIndex, type RunIndex } from '../history/run-index.js';
import { repeatsOf } from '../history/repeats.js';
import { slowerText, slowerThanBefore } from '../history/trend.js';
import type { Session } from './session.js';

/** Adds what only many runs together tell: how steady each profile is, and what changed since the runs before. */
export async function withComparison(
  { layout, progress }: Pick<Session, 'layout' | 'progress'>,
  suite: SuiteReport,
): Promise<SuiteReport> {
  try {
    await using index = await openRunIndex(layout);
    return compared(suite, index);
  } catch (error) {
    // The verdict is known: an index that cannot be read is no reason to keep it back.
    progress(`no comparison with the runs before: ${messageOf(error)}`);
    return compared(suite, undefined);
  }
}

/** A suite that has ended, from the runs recorded on this host; undefined where there is none of it. */
export async function recordedSuite(layout: Layout, suite: string): Promise<SuiteReport | undefined> {
  await using index = await openRunIndex(layout);
  const names = index.all('SELECT run FROM runs WHERE suite = ? ORDER BY started_at, run', suite);
  const found = await Promise.all(names.map(({ run }) => readRunReport(layout.runs, String(run))));
  const runs = found.filter((run): run is RunReport => run !== undefined);
  if (runs.length === 0) return undefined;
  const again = retriesOf(runs);
  const verdicts = runs.flatMap(({ run, verdict }) => (verdict === null || again.has(run) ? [] : [verdict]));
  const noted = runs.map((run) => noteRetry(run, again.get(run.run)));
  return compared({ suite, verdict: worstVerdict(verdicts), runs: noted }, index);
}

/** Runs that were made again after an error (`--retry-errors`), each with the run that was made of it. */
function retriesOf(runs: readonly RunReport[]): ReadonlyMap<string, string> {
  const byName = new Map(runs.map((run) => [run.run, run]));
  const again = new Map<string, string>();
  for (const first of runs) {
    let last = first;
    for (let retry = 1; last.verdict === 'error'; retry++) {
      const next = byName.get(retryOfRun(first.run, retry));
      // A profile may be called `vm-retry1`.
      if (next?.profile !== first.profile) break;
      again.set(last.run, next.run);
      last = next;
    }
  }
  return again;
}

function compared(suite: SuiteReport, index: RunIndex | undefined): SuiteReport {
  const repeats = repeatsOf(suite.runs);
  const slowerNow = (durations: Parameters<typeof slowerThanBefore>[0]) => {
    const slower = slowerThanBefore(durations);
    return slower && slowerText(slower);
  };
  const changes = index ? changesSince(index, suite.runs, slowerNow) : [];
  return {
    ...suite,
    ...(repeats.length === 0 ? {} : { repeats }),
    ...(changes.length === 0 ? {} : { changes }),
  };
}
