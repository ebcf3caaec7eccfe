import { existsSync } from 'node:fs';
import type { FailureClass } from '../../domain/diagnosis.js';
import type { InjectedFault } from '../../domain/fault.js';
import type { MetricSeries, RunReport } from '../../domain/run.js';
import { systemMetricUnit } from '../../domain/system.js';
import { readIfThere, writeJson, writeWhole } from '../../host/files.js';
import type { Work } from '../../domain/work.js';
import type { RunFiles } from '../../records/artifacts.js';
import { collectMetrics } from '../../records/events.js';
import { recordHeal } from '../../history/heal-record.js';
import { combineChanges, unifiedDiff } from '../../records/patch.js';
import { readSystemMetrics } from '../../metrics/system-metrics.js';
import { ReadingBrokenOff } from '../../diagnosis/pool.js';
import { reporters } from '../../reports/index.js';
import { reportSource } from '../../reports/source.js';
import { faultResults } from '../step/fault-journal.js';
import { changesOf } from '../heal/apply-heal.js';
import { readUnfinished } from '../install/recording.js';
import { learnSuccessBaseline } from '../install/success-baseline.js';

/** Writes a run's reports in every format and its heals' patch; gives the report with what only the artifacts know. */
export async function publishReports(files: RunFiles, report: RunReport): Promise<RunReport> {
  const metrics = await metricsOf(files, report);
  const advice = report.verdict === 'failed' ? await lastAdvice(files, report.attempts) : undefined;
  const notes = advice === undefined ? report.notes : [...report.notes, advice];
  const full = {
    ...report,
    notes,
    metrics,
    faults: await injectedFaults(files, report.faults),
    ...(await unfinishedAttempt(files, report)),
  };
  await writeJson(files.metrics, metrics);
  await writeJson(files.heals, report.heals);
  await writePatch(files, report);
  const source = reportSource(files, full);
  for (const reporter of Object.values(reporters)) {
    await writeWhole(files.report[reporter.format], await reporter.render(source));
  }
  return full;
}

/** What the last attempt's installer measured itself, and what was measured of the system in all of them. */
async function metricsOf(files: RunFiles, { attempts }: RunReport): Promise<Record<string, MetricSeries>> {
  if (attempts === 0) return {};
  const own = Object.entries(await collectMetrics(files.attempt(attempts).events));
  const numbers = Array.from({ length: attempts }, (_, index) => index + 1);
  return {
    // The system's names are the bench's: nothing a guest says goes under them.
    ...Object.fromEntries(
      own.map(([name, series]) => [systemMetricUnit(name) === undefined ? name : `installer.${name}`, series]),
    ),
    ...(await readSystemMetrics(numbers.map((number) => files.attempt(number).system))),
  };
}

/** Of the last attempt on whose machine somebody looked. */
async function lastAdvice(files: RunFiles, attempts: number): Promise<string | undefined> {
  for (let attempt = attempts; attempt > 0; attempt--) {
    const advice = await readIfThere(files.advice(attempt));
    if (advice !== undefined) return advice;
  }
  return undefined;
}

/** A run that ended in a fault of the bench never heard of those that were injected last. */
async function injectedFaults(files: RunFiles, heardOf: readonly InjectedFault[]): Promise<readonly InjectedFault[]> {
  const results = (await faultResults(files)).filter(({ refused }) => refused === undefined);
  // On a host that only writes the report there is no record of them.
  if (results.length === 0) return heardOf;
  return results.map(({ name, phase, at, seen }) => ({ name, phase, at, seen }));
}

/** What the heals that worked changed in the deployed tree. There is no patch where there is nothing to commit. */
async function writePatch(files: RunFiles, { heals }: RunReport): Promise<void> {
  const worked = heals.filter(({ outcome }) => outcome === 'worked');
  const rounds = await Promise.all(worked.map(({ number }) => changesOf(files.heal(number))));
  const patch = unifiedDiff(combineChanges(rounds));
  if (patch !== '') await writeWhole(files.patch, patch);
}

/** Adds what became of a run's heals to this host's record. Told again it is counted once. */
export async function recordHeals(home: string, { run, profile, heals }: RunReport): Promise<void> {
  for (const { number, class: failureClass, name, outcome } of heals) {
    const at = new Date().toISOString();
    await recordHeal(home, { at, run, heal: number, class: failureClass as FailureClass, name, profile, outcome });
  }
}

/** What an installer that succeeded printed is usual for its profile; of a drill's, part may be the fault's doing. */
export async function learnFromSuccess(
  home: string,
  files: RunFiles,
  report: RunReport,
  { signal, progress }: Work,
): Promise<void> {
  const { verdict, attempts, faults } = report;
  if ((verdict !== 'passed' && verdict !== 'healed') || attempts === 0 || faults.length > 0) return;
  const { log } = files.attempt(attempts);
  // On a host that only writes the report there is no log.
  if (!existsSync(log)) return;
  try {
    await learnSuccessBaseline(home, report, log, signal);
  } catch (error) {
    if (!(error instanceof ReadingBrokenOff)) throw error;
    progress(`nothing was learned from the log: ${error.message}`);
  }
}

/** A run that was cancelled or ran out of time while its installer ran never heard of that attempt's phases and log. */
async function unfinishedAttempt(
  files: RunFiles,
  { attempts, log, phases, startedAt, durationMs }: RunReport,
): Promise<Partial<Pick<RunReport, 'log' | 'phases'>>> {
  if (attempts === 0 || log.sha256 !== '') return {};
  const left = await readUnfinished(files.attempt(attempts));
  if (!left) return {};
  const endedAt = Date.parse(startedAt) + durationMs;
  const seen = left.phases.map(({ name, at }, index) => ({
    name,
    startedAt: new Date(at).toISOString(),
    durationMs: Math.max(0, (left.phases[index + 1]?.at ?? endedAt) - at),
    attempt: attempts,
  }));
  return { log: left.log, phases: [...phases, ...seen] };
}
