import type { RunReport } from '../domain/run.js';

/** Bytes that a run's folder takes on its disk, and how many of them may go where room is needed. */
export interface RunSize {
  readonly bytes: number;
  readonly bulk: number;
}

/** A value as SQLite has it. */
export type Cell = string | number | null;

/** One table of the index: its columns, and the rows that a run has in it. */
export interface IndexTable {
  readonly name: string;
  /** In SQL; `run` comes first in every table. */
  readonly columns: Readonly<Record<string, string>>;
  readonly rows: (run: RunReport, size: RunSize) => readonly (readonly Cell[])[];
}

/** Counts up where the columns or their meaning change: an older index is built anew. */
export const INDEX_VERSION = 2;

/** Everything of a run that is asked for over many runs. What is not here is in its folder. */
export const TABLES: readonly IndexTable[] = [
  {
    name: 'runs',
    columns: {
      run: 'TEXT PRIMARY KEY',
      suite: 'TEXT',
      profile: 'TEXT',
      driver: 'TEXT',
      base: 'TEXT',
      host: 'TEXT',
      verdict: 'TEXT',
      started_at: 'TEXT',
      duration_ms: 'INTEGER',
      attempts: 'INTEGER',
      /** 1 where faults were injected: its times and failures say nothing of the profile. */
      drill: 'INTEGER',
      /** What its folder takes, and how much of that may go where room is needed. */
      bytes: 'INTEGER',
      bulk: 'INTEGER',
    },
    rows: (run, { bytes, bulk }) => [
      [
        run.run,
        run.suite,
        run.profile,
        run.driver,
        run.base ?? null,
        run.host ?? null,
        run.verdict,
        run.startedAt,
        run.durationMs,
        run.attempts,
        run.faults.length > 0 ? 1 : 0,
        bytes,
        bulk,
      ],
    ],
  },
  {
    name: 'phases',
    columns: {
      run: 'TEXT',
      seq: 'INTEGER',
      name: 'TEXT',
      started_at: 'TEXT',
      duration_ms: 'INTEGER',
      attempt: 'INTEGER',
    },
    rows: ({ run, phases }) =>
      phases.map(({ name, startedAt, durationMs, attempt }, seq) => [run, seq, name, startedAt, durationMs, attempt]),
  },
  {
    name: 'failures',
    columns: { run: 'TEXT', seq: 'INTEGER', class: 'TEXT', phase: 'TEXT', confidence: 'REAL', reason: 'TEXT' },
    rows: ({ run, failures }) =>
      failures.map((failure, seq) => [run, seq, failure.class, failure.phase, failure.confidence, failure.reason]),
  },
  {
    name: 'heals',
    columns: { run: 'TEXT', seq: 'INTEGER', class: 'TEXT', name: 'TEXT', outcome: 'TEXT', resumed: 'TEXT' },
    rows: ({ run, heals }) =>
      heals.map(({ number, class: failureClass, name, outcome, resumed }) => [
        run,
        number,
        failureClass,
        name,
        outcome,
        resumed,
      ]),
  },
  {
    name: 'checks',
    columns: { run: 'TEXT', seq: 'INTEGER', name: 'TEXT', status: 'TEXT', duration_ms: 'INTEGER' },
    rows: ({ run, checks }) => checks.map(({ name, status, durationMs }, seq) => [run, seq, name, status, durationMs]),
  },
  {
    name: 'metrics',
    columns: { run: 'TEXT', name: 'TEXT', samples: 'INTEGER', last: 'REAL', low: 'REAL', high: 'REAL' },
    rows: ({ run, metrics }) =>
      Object.entries(metrics).flatMap(([name, series]) => {
        const values = series.map(([, value]) => value);
        if (values.length === 0) return [];
        const [low, high] = [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
        return [[run, name, values.length, values.at(-1) ?? null, low, high]];
      }),
  },
];
