import type { HealRecord, RunReport } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import type { RunIndex } from './run-index.js';

/** What figures over many runs are made from. */
export interface PastRun extends Pick<RunReport, 'profile' | 'startedAt' | 'durationMs' | 'attempts'> {
  readonly verdict: Verdict | null;
  readonly phases: readonly Pick<RunReport['phases'][number], 'name' | 'durationMs' | 'attempt'>[];
  readonly failures: readonly { readonly class: string }[];
  readonly heals: readonly Pick<HealRecord, 'name' | 'class' | 'outcome'>[];
  /** Only how many there were matters: the times of a drill are not its profile's. */
  readonly faults: readonly unknown[];
}

type Row = Readonly<Record<string, unknown>>;

/** Every run that has ended, oldest first. */
export function pastRuns(index: RunIndex): readonly PastRun[] {
  const phases = byRun(index.all('SELECT run, name, duration_ms, attempt FROM phases ORDER BY run, seq'));
  const failures = byRun(index.all('SELECT run, class FROM failures ORDER BY run, seq'));
  const heals = byRun(index.all('SELECT run, class, name, outcome FROM heals ORDER BY run, seq'));
  return index.all('SELECT * FROM runs ORDER BY started_at, run').map((row): PastRun => {
    const run = String(row['run']);
    return {
      profile: String(row['profile']),
      startedAt: String(row['started_at']),
      durationMs: Number(row['duration_ms']),
      attempts: Number(row['attempts']),
      verdict: row['verdict'] as Verdict,
      faults: row['drill'] === 1 ? [run] : [],
      phases: (phases.get(run) ?? []).map((phase) => ({
        name: String(phase['name']),
        durationMs: Number(phase['duration_ms']),
        attempt: Number(phase['attempt']),
      })),
      failures: (failures.get(run) ?? []).map((failure) => ({ class: String(failure['class']) })),
      heals: (heals.get(run) ?? []).map((heal) => ({
        name: String(heal['name']),
        class: String(heal['class']),
        outcome: heal['outcome'] as HealRecord['outcome'],
      })),
    };
  });
}

function byRun(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const run = String(row['run']);
    const known = found.get(run);
    if (known) known.push(row);
    else found.set(run, [row]);
  }
  return found;
}
