import type { RecordedEvent } from '../domain/event.js';
import type { RunReport } from '../domain/run.js';

/** What a report is made of: the run's record, and its stream where the artifacts are at hand. */
export interface ReportSource {
  readonly run: RunReport;
  /** The recorded events of one attempt, in order, many at a time; none where the artifacts are elsewhere. */
  events(attempt: number): AsyncIterable<Iterable<RecordedEvent>>;
  /** The screen of the machine at the end of a run that went wrong, a PNG; undefined where there is none. */
  screen?(): Promise<Uint8Array | undefined>;
}

export type ReportFormat = 'json' | 'junit' | 'html' | 'markdown';

/** One format of report. Guest text in it is hostile and escaped for that format. */
export interface Reporter {
  readonly format: ReportFormat;
  render(source: ReportSource): Promise<string>;
}
