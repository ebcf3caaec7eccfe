import type { MetricSeries, RunReport } from '../domain/run.js';
import { writeJson, writeWhole } from '../host/files.js';
import type { RunFiles } from '../records/artifacts.js';
import { collectMetrics } from '../records/events.js';
import { reporters } from '../reports/index.js';
import { reportSource } from '../reports/source.js';
import { readUnfinished } from './recording.js';

/** Writes a run's reports in every format; gives the report with what only the artifacts know. */
export async function publishReports(files: RunFiles, report: RunReport): Promise<RunReport> {
  const metrics: Record<string, MetricSeries> =
    report.attempts > 0 ? await collectMetrics(files.attempt(report.attempts).events) : {};
  const full = { ...report, metrics, ...(await unfinishedAttempt(files, report)) };
  await writeJson(files.metrics, metrics);
  await writeJson(files.heals, report.heals);
  const source = reportSource(files, full);
  for (const reporter of Object.values(reporters)) {
    await writeWhole(files.report[reporter.format], await reporter.render(source));
  }
  return full;
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
