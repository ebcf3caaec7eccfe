import { workflowInfo } from '@temporalio/workflow';
import { checkpointName, type AttemptOutcome, type AttemptRef } from '../domain/attempt.js';
import { faultText, type FaultResult } from '../domain/fault.js';
import { newReport } from '../domain/new-report.js';
import type { CheckpointCost, PhaseRecord, RunReport, RunRequest } from '../domain/run.js';
import type { PinnedSource } from '../domain/source.js';
import type { Verdict } from '../domain/verdict.js';

/** What a run knows of itself while it goes on. */
export type RunState = { -readonly [K in keyof RunReport]: RunReport[K] };

/** The report of a run that begins now. */
export function emptyReport({ run, suite, profile, driver, source }: RunRequest): RunState {
  const startedAt = new Date(Date.now()).toISOString();
  const report = newReport({ run, suite, profile: profile.name, driver, startedAt });
  return {
    ...report,
    ...(profile.base === undefined ? {} : { base: profile.base }),
    ...(source === undefined ? {} : { source: pinned(source) }),
  };
}

/** The run as it is now. */
export function reportOf(runState: RunState): RunReport {
  return { ...runState, historyEvents: workflowInfo().historyLength };
}

function pinned({ repository, ref, commit }: PinnedSource): PinnedSource {
  return { repository, ref, commit };
}

/** Times in milliseconds since the epoch. */
export function phaseRecord(name: string, startedAt: number, endedAt: number, attempt: number): PhaseRecord {
  return { name, startedAt: new Date(startedAt).toISOString(), durationMs: endedAt - startedAt, attempt };
}

/** What an attempt lived through itself: the phases that came back with a checkpoint are another's. */
export function phasesOf(outcome: AttemptOutcome, { number, replayedPhases }: AttemptRef): PhaseRecord[] {
  const all = outcome.phases.map(({ name, at }, index) =>
    phaseRecord(name, at, outcome.phases[index + 1]?.at ?? outcome.endedAt, number),
  );
  return all.slice(replayedPhases);
}

/** Faults that were asked for and did not come about. */
export function missedFaults({ faults = [] }: RunRequest, results: readonly FaultResult[]): readonly string[] {
  return faults.map(faultText).flatMap((asked) => {
    const result = results.find(({ request }) => request === asked);
    if (result?.refused !== undefined) return [`${asked} was not injected: ${result.refused}`];
    return result ? [] : [`${asked} was not injected: the installer never waited at the beginning of such a phase`];
  });
}

/** What the checkpoints cost that an attempt took itself. */
export function checkpointCosts(outcome: AttemptOutcome, ref: AttemptRef): CheckpointCost[] {
  return outcome.checkpoints
    .filter(({ name, barrier }) => name === checkpointName(ref, barrier))
    .map(({ name, takenAt, tookMs, bytes }) => ({
      name,
      phase: outcome.phases.findLast(({ at }) => at <= takenAt)?.name ?? '',
      attempt: ref.number,
      tookMs,
      bytes,
    }));
}

/** Of a run whose installer succeeded and whose system booted. */
export function verdictOf({ checks, heals }: Pick<RunReport, 'checks' | 'heals'>): Verdict {
  if (checks.some((check) => check.status === 'fail')) return 'failed';
  return heals.some(({ outcome }) => outcome === 'worked') ? 'healed' : 'passed';
}
