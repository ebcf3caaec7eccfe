import { createReadStream } from 'node:fs';
import type { RecordedEvent } from '../domain/event.js';
import type { MetricSeries } from '../domain/run.js';
import { isErrno } from '../host/files.js';

/**
 * The events of an `events.ndjson` in order, a chunk of the file at a time; none where there is no such file. A torn line is
 * passed over.
 */
export async function* readEvents(file: string): AsyncGenerator<readonly RecordedEvent[]> {
  for await (const lines of linesOf(file)) {
    yield lines.split('\n').flatMap((line) => parsed(line) ?? []);
  }
}

/** Whole lines, as many as a chunk of the file completes. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      const bytes = Buffer.concat([rest, chunk as Buffer]);
      const end = bytes.lastIndexOf(0x0a) + 1;
      yield bytes.toString('utf8', 0, end);
      rest = bytes.subarray(end);
    }
    yield rest.toString('utf8');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

function parsed(line: string): RecordedEvent | undefined {
  if (line === '') return undefined;
  try {
    return JSON.parse(line) as RecordedEvent;
  } catch {
    return undefined;
  }
}

const MAX_SERIES = 64;
const MAX_SAMPLES = 512;

/** The metrics of a stream by name; a long series is thinned evenly, so that it stays below a bound. */
export async function collectMetrics(file: string): Promise<Record<string, MetricSeries>> {
  const series = new Map<string, (readonly [number, number])[]>();
  for await (const lines of linesOf(file)) {
    // Parsing only what can be one: a log has millions of lines and few metrics.
    if (!lines.includes(METRIC)) continue;
    for (const line of lines.split('\n')) if (line.includes(METRIC)) collect(series, parsed(line));
  }
  return Object.fromEntries(series);
}

const METRIC = '"type":"metric"';

function collect(series: Map<string, (readonly [number, number])[]>, event: RecordedEvent | undefined): void {
  if (event?.type !== 'metric') return;
  const samples = series.get(event.name) ?? [];
  if (samples.length === 0 && series.size >= MAX_SERIES) return;
  samples.push([event.at, event.value]);
  series.set(event.name, samples.length > MAX_SAMPLES ? samples.filter((_, index) => index % 2 === 0) : samples);
}
