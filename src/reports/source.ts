import { readFile } from 'node:fs/promises';
import type { RunReport } from '../domain/run.js';
import type { RunFiles } from '../records/artifacts.js';
import { readEvents } from '../records/events.js';
import type { ReportSource } from './reporter.js';

/** What a report of a run is made of, from the run's folder on this host. */
export function reportSource(files: RunFiles, run: RunReport): ReportSource {
  return {
    run,
    events: (attempt) => readEvents(files.attempt(attempt).events),
    screen: () => readFile(files.screen).catch(() => undefined),
  };
}
