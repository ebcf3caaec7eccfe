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
