import type { MetricSeries } from '../domain/run.js';
import { systemMetricUnit, type SystemReading } from '../domain/system.js';
import { readIfThere } from '../host/files.js';

/** A plot is no wider, and a run has many of them: the whole is in the attempts' files. */
const MAX_SAMPLES = 100;

/** One value of a reading. */
interface Point {
  readonly attempt: number;
  readonly at: number;
  readonly clock: number;
  readonly value: number;
}

/**
 * The system's metrics in a run's attempts, from their `system.ndjson` in order; what of a file cannot be read is passed over. A
 * counter becomes what it grew by in a second, from one reading to the next; one that went back, as after a restart, gives none.
 * Of attempts that went on at once, in a race, the last one's count: it is the run's.
 */
export async function readSystemMetrics(files: readonly string[]): Promise<Record<string, MetricSeries>> {
  const levels = new Map<string, Point[]>();
  const counters = new Map<string, Point[]>();
  for (const [attempt, readings] of (await oneAfterTheOther(files)).entries()) {
    for (const { at, of, clock, levels: now, counters: sofar } of readings) {
      for (const [name, value] of Object.entries(now)) add(levels, `${of}.${name}`, { attempt, at, clock, value });
      for (const [name, value] of Object.entries(sofar)) add(counters, `${of}.${name}`, { attempt, at, clock, value });
    }
  }
  const series = [
    ...[...levels].map(
      ([name, points]) => [name, thinned(points).map(({ at, value }) => [at, value] as const)] as const,
    ),
    ...[...counters].map(([name, points]) => [name, rates(thinned(points))] as const),
  ];
  return Object.fromEntries(series.filter(([, samples]) => samples.length > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function add(all: Map<string, Point[]>, name: string, point: Point): void {
  if (systemMetricUnit(name) === undefined) return;
  const points = all.get(name);
  if (points) points.push(point);
  else all.set(name, [point]);
}

/** Each attempt's readings, without those that a later one's go beside. */
async function oneAfterTheOther(files: readonly string[]): Promise<readonly (readonly SystemReading[])[]> {
  const attempts: (readonly SystemReading[])[] = [];
  let until = Infinity;
  for (const file of [...files].reverse()) {
    const before = until;
    const readings = (await readingsOf(file)).filter(({ at }) => at < before);
    until = readings[0]?.at ?? until;
    attempts.unshift(readings);
  }
  return attempts;
}

async function readingsOf(file: string): Promise<readonly SystemReading[]> {
  return ((await readIfThere(file)) ?? '').split('\n').flatMap((line) => {
    try {
      return line === '' ? [] : [JSON.parse(line) as SystemReading];
    } catch {
      // Torn: its writer was killed.
      return [];
    }
  });
}

/** Every so manieth, so that no more than a plot shows are left: what a counter did between them is still all there. */
function thinned(points: readonly Point[]): readonly Point[] {
  const step = Math.ceil(points.length / MAX_SAMPLES);
  return points.filter((_, index) => index % step === 0);
}

function rates(points: readonly Point[]): MetricSeries {
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    if (before?.attempt !== point.attempt) return [];
    const seconds = point.clock - before.clock;
    const growth = point.value - before.value;
    return seconds > 0 && growth >= 0 ? [[point.at, rounded(growth / seconds)] as const] : [];
  });
}

function rounded(rate: number): number {
  return Number(rate.toPrecision(4));
}
