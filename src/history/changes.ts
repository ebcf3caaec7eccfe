import type { RunReport } from '../domain/run.js';
import type { SuiteChange } from '../domain/suite.js';
import type { Verdict } from '../domain/verdict.js';
import type { RunIndex } from './run-index.js';

/** The runs of the same thing before: verdicts that say something of the profile, newest first. */
const BEFORE = `SELECT run, verdict, duration_ms FROM runs
  WHERE profile = ? AND driver = ? AND base IS ? AND suite <> ? AND started_at < ? AND drill = 0
    AND verdict IN ('passed', 'healed', 'failed')
  ORDER BY started_at DESC LIMIT 10`;

/**
 * What became other with these runs, each beside the last run of the same profile, driver and base that another suite had before.
 * Drills, and runs that say nothing of their profile, are left out.
 * @param slower whether the last of these durations (milliseconds, oldest first) stands out, in words
 */
export function changesSince(
  index: RunIndex,
  runs: readonly RunReport[],
  slower: (durations: readonly number[]) => string | undefined,
): readonly SuiteChange[] {
  return runs.flatMap((run): readonly SuiteChange[] => {
    const { verdict, profile, driver, base, suite, startedAt, durationMs, faults } = run;
    if (faults.length > 0 || (verdict !== 'passed' && verdict !== 'healed' && verdict !== 'failed')) return [];
    const before = index.all(BEFORE, profile, driver, base ?? null, suite, startedAt);
    const [last] = before;
    if (!last) return [];
    const was = last['verdict'] as Verdict;
    const about = {
      profile,
      driver,
      ...(base === undefined ? {} : { base }),
      run: run.run,
      before: String(last['run']),
    };
    const kind = kindOf(was, verdict);
    if (kind) return [{ ...about, kind, text: `${was} before, ${verdict} now` }];
    const good = before.filter((one) => one['verdict'] !== 'failed').map((one) => Number(one['duration_ms']));
    const text = verdict === 'failed' ? undefined : slower([...good.reverse(), durationMs]);
    return text === undefined ? [] : [{ ...about, kind: 'slower', text }];
  });
}

function kindOf(was: Verdict, now: Verdict): SuiteChange['kind'] | undefined {
  if (was === now) return undefined;
  if (now === 'failed') return 'broke';
  return was === 'passed' ? 'healed' : 'fixed';
}
