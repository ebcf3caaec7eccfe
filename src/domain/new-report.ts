import type { RunReport } from './run.js';

/** What is known of a run before it does anything. */
export type RunIdentity = Pick<RunReport, 'run' | 'suite' | 'profile' | 'driver' | 'startedAt'>;

/** The report of a run that has not done anything yet. */
export function newReport(identity: RunIdentity): RunReport {
  return {
    ...identity,
    verdict: null,
    state: 'waiting',
    durationMs: 0,
    attempts: 0,
    phases: [],
    failures: [],
    heals: [],
    faults: [],
    checkpoints: [],
    checks: [],
    metrics: {},
    historyEvents: 0,
    log: { bytes: 0, lines: 0, sha256: '', verified: false },
    notes: [],
    artifacts: '',
  };
}

/**
 * A report that another version may have written or answered: what it lacks is as in a run that has
 * done nothing.
 */
export function completeReport(report: Partial<RunReport>): RunReport {
  const { run = '', suite = '', profile = run, driver = 'sandbox', startedAt = new Date(0).toISOString() } = report;
  const blank = newReport({ run, suite, profile, driver, startedAt });
  return { ...blank, ...report, log: { ...blank.log, ...report.log } };
}
