import type { HealRecord } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import type { PastRun } from './past-runs.js';
import { median, slowerThanBefore, type Slower } from './trend.js';

/** So many of the last runs are a trend. */
const TREND = 20;
const SLOWEST = 5;

/** What became of one heal for one class of failures, over many runs. */
export interface HealStatistics {
  readonly name: string;
  readonly class: string;
  readonly worked: number;
  readonly noEffect: number;
  readonly failed: number;
  readonly rejected: number;
}

export interface ProfileStatistics {
  readonly profile: string;
  readonly runs: number;
  readonly verdicts: Readonly<Record<Verdict, number>>;
  /** Of the runs that passed or were healed, milliseconds; null where there are none. */
  readonly medianMs: number | null;
  /** How long the last of them took, oldest first. */
  readonly trend: readonly number[];
  /** Where the last one took longer than those before it, beyond their spread. */
  readonly slower?: Slower;
  /** The last runs that say something of the profile, and how often one's verdict was another than that of the one before. */
  readonly steadiness: { readonly runs: number; readonly changes: number };
  /** The installer's phases of the good runs, in their order. */
  readonly phases: readonly PhaseStatistics[];
}

export interface PhaseStatistics {
  readonly name: string;
  readonly medianMs: number;
  readonly lastMs: number;
  readonly trend: readonly number[];
  readonly slower?: Slower;
}

/** Figures over all recorded runs: `nixproof stats --json`. */
export interface Statistics {
  readonly runs: number;
  readonly profiles: readonly ProfileStatistics[];
  /** Failure classes, the most frequent first. */
  readonly failures: readonly { readonly class: string; readonly count: number }[];
  readonly heals: readonly HealStatistics[];
  /** The phases that take longest, by their medians, over all profiles. */
  readonly slowest: readonly { readonly profile: string; readonly name: string; readonly medianMs: number }[];
}

/** @param runs in any order; those that go on are left out */
export function statisticsOf(runs: readonly PastRun[]): Statistics {
  const ended = runs.filter(({ verdict }) => verdict !== null);
  const oldestFirst = [...ended].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  const names = [...new Set(oldestFirst.map(({ profile }) => profile))].sort();
  const profiles = names.map((name) =>
    profileStatistics(
      name,
      oldestFirst.filter(({ profile }) => profile === name),
    ),
  );
  const phases = profiles.flatMap(({ profile, phases: own }) =>
    own.map(({ name, medianMs }) => ({ profile, name, medianMs })),
  );
  return {
    runs: ended.length,
    profiles,
    failures: failureCounts(ended),
    heals: healCounts(ended),
    slowest: phases.sort((a, b) => b.medianMs - a.medianMs).slice(0, SLOWEST),
  };
}

function profileStatistics(profile: string, runs: readonly PastRun[]): ProfileStatistics {
  const verdicts: Record<Verdict, number> = { passed: 0, healed: 0, failed: 0, error: 0, cancelled: 0 };
  for (const { verdict } of runs) if (verdict !== null) verdicts[verdict] += 1;
  // What was made to go wrong is no word on how long it takes or how steady it is.
  const plain = runs.filter(({ faults }) => faults.length === 0);
  const good = plain.filter(({ verdict }) => verdict === 'passed' || verdict === 'healed');
  const durations = good.map(({ durationMs }) => durationMs);
  const slower = slowerThanBefore(durations);
  return {
    profile,
    runs: runs.length,
    verdicts,
    medianMs: good.length === 0 ? null : median(durations),
    trend: durations.slice(-TREND),
    ...(slower ? { slower } : {}),
    steadiness: steadinessOf(plain),
    phases: phaseStatistics(good),
  };
}

function steadinessOf(runs: readonly PastRun[]): ProfileStatistics['steadiness'] {
  const telling = runs
    .map(({ verdict }) => verdict)
    .filter((verdict) => verdict === 'passed' || verdict === 'healed' || verdict === 'failed')
    .slice(-TREND);
  const changes = telling.filter((verdict, index) => index > 0 && verdict !== telling[index - 1]).length;
  return { runs: telling.length, changes };
}

/** Of each run's last attempt: the earlier ones did not get to the end. */
function phaseStatistics(runs: readonly PastRun[]): ProfileStatistics['phases'] {
  const durations = new Map<string, number[]>();
  for (const { phases, attempts } of runs) {
    for (const { name, durationMs, attempt } of phases) {
      if (attempt === attempts) durations.set(name, [...(durations.get(name) ?? []), durationMs]);
    }
  }
  return [...durations].map(([name, all]) => {
    const slower = slowerThanBefore(all);
    const figures = { name, medianMs: median(all), lastMs: all.at(-1) ?? 0, trend: all.slice(-TREND) };
    return slower ? { ...figures, slower } : figures;
  });
}

function failureCounts(runs: readonly PastRun[]): Statistics['failures'] {
  const counts = new Map<string, number>();
  for (const failure of runs.flatMap(({ failures }) => failures)) {
    counts.set(failure.class, (counts.get(failure.class) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ class: name, count })).sort((a, b) => b.count - a.count);
}

const FIELDS = { worked: 'worked', 'no-effect': 'noEffect', failed: 'failed', rejected: 'rejected' } as const;

function healCounts(runs: readonly PastRun[]): readonly HealStatistics[] {
  const heals = new Map<
    string,
    Record<(typeof FIELDS)[HealRecord['outcome']], number> & { name: string; class: string }
  >();
  for (const { name, class: failureClass, outcome } of runs.flatMap((run) => run.heals)) {
    const key = `${failureClass} ${name}`;
    const known = heals.get(key) ?? { name, class: failureClass, worked: 0, noEffect: 0, failed: 0, rejected: 0 };
    known[FIELDS[outcome]] += 1;
    heals.set(key, known);
  }
  return [...heals.values()].sort((a, b) => b.worked - a.worked || a.name.localeCompare(b.name));
}
