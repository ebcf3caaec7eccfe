import type { HealRecord, RunReport } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';

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
  /** The installer's phases of those runs, in their order. */
  readonly phases: readonly { readonly name: string; readonly medianMs: number; readonly lastMs: number }[];
}

/** Figures over all recorded runs: `nixproof stats --json`. */
export interface Statistics {
  readonly runs: number;
  readonly profiles: readonly ProfileStatistics[];
  /** Failure classes, the most frequent first. */
  readonly failures: readonly { readonly class: string; readonly count: number }[];
  readonly heals: readonly HealStatistics[];
}

/** @param runs in any order; those that go on are left out */
export function statisticsOf(runs: readonly RunReport[]): Statistics {
  const ended = runs.filter(({ verdict }) => verdict !== null);
  const oldestFirst = [...ended].sort((a, b) => a.startedAt.localeCompare(b.startedAt));
  const names = [...new Set(oldestFirst.map(({ profile }) => profile))].sort();
  return {
    runs: ended.length,
    profiles: names.map((name) =>
      profileStatistics(
        name,
        oldestFirst.filter(({ profile }) => profile === name),
      ),
    ),
    failures: failureCounts(ended),
    heals: healCounts(ended),
  };
}

function profileStatistics(profile: string, runs: readonly RunReport[]): ProfileStatistics {
  const verdicts: Record<Verdict, number> = { passed: 0, healed: 0, failed: 0, error: 0, cancelled: 0 };
  for (const { verdict } of runs) if (verdict !== null) verdicts[verdict] += 1;
  const good = runs.filter(({ verdict }) => verdict === 'passed' || verdict === 'healed');
  const medianMs = good.length === 0 ? null : median(good.map(({ durationMs }) => durationMs));
  return { profile, runs: runs.length, verdicts, medianMs, phases: phaseStatistics(good) };
}

/** Of each run's last attempt: the earlier ones did not get to the end. */
function phaseStatistics(runs: readonly RunReport[]): ProfileStatistics['phases'] {
  const durations = new Map<string, number[]>();
  for (const { phases, attempts } of runs) {
    for (const { name, durationMs, attempt } of phases) {
      if (attempt === attempts) durations.set(name, [...(durations.get(name) ?? []), durationMs]);
    }
  }
  return [...durations].map(([name, all]) => ({ name, medianMs: median(all), lastMs: all.at(-1) ?? 0 }));
}

function failureCounts(runs: readonly RunReport[]): Statistics['failures'] {
  const counts = new Map<string, number>();
  for (const failure of runs.flatMap(({ failures }) => failures)) {
    counts.set(failure.class, (counts.get(failure.class) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => ({ class: name, count })).sort((a, b) => b.count - a.count);
}

const FIELDS = { worked: 'worked', 'no-effect': 'noEffect', failed: 'failed', rejected: 'rejected' } as const;

function healCounts(runs: readonly RunReport[]): readonly HealStatistics[] {
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

/** Of at least one value. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2);
}
