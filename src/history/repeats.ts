import type { RunReport } from '../domain/run.js';
import type { Repeat } from '../domain/suite.js';

/** Two-sided 95 % of the normal distribution. */
const Z = 1.96;

/** How steady each profile of a suite is, on each driver and base: of those that were run more than once. */
export function repeatsOf(runs: readonly RunReport[]): readonly Repeat[] {
  const cells = new Map<string, RunReport[]>();
  for (const run of runs) {
    if (run.faults.length > 0) continue;
    const key = JSON.stringify([run.profile, run.driver, run.base]);
    cells.set(key, [...(cells.get(key) ?? []), run]);
  }
  return [...cells.values()].filter((cell) => cell.length > 1).map(repeatOf);
}

function repeatOf(cell: readonly RunReport[]): Repeat {
  const [{ profile, driver, base }] = cell as [RunReport];
  const count = (verdict: RunReport['verdict']) => cell.filter((run) => run.verdict === verdict).length;
  const [passed, healed, failed] = [count('passed'), count('healed'), count('failed')];
  const runs = passed + healed + failed;
  return {
    profile,
    driver,
    ...(base === undefined ? {} : { base }),
    runs,
    passed,
    healed,
    failed,
    flaky: [passed, healed, failed].filter((some) => some > 0).length > 1,
    passRate: wilson(passed, runs),
  };
}

/**
 * The interval in which a share lies with 95 % confidence (Wilson: "Probable inference, the law of succession, and statistical
 * inference", 1927): also where all or none of few succeeded.
 */
export function wilson(successes: number, of: number): readonly [low: number, high: number] {
  if (of === 0) return [0, 1];
  const share = successes / of;
  const middle = (share + Z ** 2 / (2 * of)) / (1 + Z ** 2 / of);
  const reach = (Z / (1 + Z ** 2 / of)) * Math.sqrt((share * (1 - share)) / of + Z ** 2 / (4 * of ** 2));
  return [Math.max(0, middle - reach), Math.min(1, middle + reach)];
}
