import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SystemReading } from '../../../src/domain/system.js';
import { readSystemMetrics } from '../../../src/metrics/system-metrics.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-system-'));
});
afterAll(() => rm(folder, { recursive: true }));

const reading = (seconds: number, more: Partial<SystemReading>): string =>
  JSON.stringify({ at: seconds * 1000, of: 'guest', clock: seconds, levels: {}, counters: {}, ...more });

/** The metrics of attempts whose files have these lines. */
async function metricsOf(...attempts: (readonly string[])[]) {
  const files = attempts.map((_, index) => path.join(folder, `${index + 1}.ndjson`));
  for (const [index, lines] of attempts.entries()) await writeFile(files[index] ?? '', lines.join('\n'));
  return readSystemMetrics([...files, path.join(folder, 'never followed')]);
}

describe('the system’s metrics', () => {
  test('levels are as they were, counters what they grew by in a second of their own clock', async () => {
    const metrics = await metricsOf([
      reading(100, { clock: 7, levels: { 'memory.used': 10 }, counters: { cpu: 1, 'disk.read': 500 } }),
      reading(101, { of: 'vm', levels: { memory: 9 }, counters: { cpu: 50 } }),
      // Its host was slow to ask: four seconds passed for the guest.
      reading(109, { clock: 11, levels: { 'memory.used': 12 }, counters: { cpu: 3, 'disk.read': 2500 } }),
      reading(111, { of: 'vm', levels: { memory: 9 }, counters: { cpu: 65 } }),
    ]);
    expect(metrics).toEqual({
      'guest.memory.used': [
        [100_000, 10],
        [109_000, 12],
      ],
      'guest.cpu': [[109_000, 0.5]],
      'guest.disk.read': [[109_000, 500]],
      'vm.memory': [
        [101_000, 9],
        [111_000, 9],
      ],
      'vm.cpu': [[111_000, 1.5]],
    });
  });

  test('a counter or a clock that went back, or stood still, gives no sample', async () => {
    const counters = (cpu: number) => ({ counters: { cpu } });
    const metrics = await metricsOf([
      reading(1, counters(10)),
      reading(2, counters(3)),
      reading(3, counters(4)),
      reading(4, { clock: 1, ...counters(5) }),
      reading(5, { clock: 1, ...counters(6) }),
    ]);
    expect(metrics).toEqual({ 'guest.cpu': [[3000, 1]] });
  });

  test('a torn line is passed over, and a name that is none of ours', async () => {
    const whole = reading(2, { levels: { load: 1, other: 2 }, counters: { __proto__: 3 } });
    expect(await metricsOf([reading(1, { levels: { load: 9 } }).slice(0, 30), whole, whole.slice(0, 40)])).toEqual({
      'guest.load': [[2000, 1]],
    });
  });

  test('attempts follow each other: nothing is computed across them', async () => {
    const first = [reading(1, { counters: { cpu: 1 } }), reading(2, { counters: { cpu: 2 } })];
    const second = [reading(60, { counters: { cpu: 30 } }), reading(62, { counters: { cpu: 31 } })];
    expect(await metricsOf(first, second)).toEqual({
      'guest.cpu': [
        [2000, 1],
        [62_000, 0.5],
      ],
    });
  });

  test('of those that went on at once, the last one’s count', async () => {
    const at = (second: number, load: number) => reading(second, { levels: { load } });
    expect(await metricsOf([at(1, 1), at(2, 1)], [at(9, 2), at(12, 2), at(20, 2)], [at(10, 3), at(13, 3)])).toEqual({
      'guest.load': [
        [1000, 1],
        [2000, 1],
        [9000, 2],
        [10_000, 3],
        [13_000, 3],
      ],
    });
  });

  test('many readings are thinned, and what a counter did is still all there', async () => {
    const lines = Array.from({ length: 1001 }, (_, second) =>
      reading(second, { counters: { 'network.receive': second < 500 ? 0 : (second - 500) * 100 } }),
    );
    const series = (await metricsOf(lines))['guest.network.receive'] ?? [];
    expect(series.length).toBeGreaterThan(80);
    expect(series.length).toBeLessThanOrEqual(100);
    const received = series.reduce((sum, [at, rate], index) => {
      const before = series[index - 1]?.[0] ?? 0;
      return sum + (rate * (at - before)) / 1000;
    }, 0);
    expect(received / (500 * 100)).toBeCloseTo(1, 1);
  });
});
