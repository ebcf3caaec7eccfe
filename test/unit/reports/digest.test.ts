import { describe, expect, it } from 'vitest';
import type { RecordedEvent } from '../../../src/domain/event.js';
import { digestEvents, withGaps, type DigestLimits } from '../../../src/reports/digest.js';
import { failed, installerEvents, sourceOf } from './fixtures.js';

const LIMITS: DigestLimits = { head: 3, tail: 4, phases: 10, notable: 6, before: 2, after: 1 };

function stream(events: Iterable<RecordedEvent>): AsyncIterable<Iterable<RecordedEvent>> {
  return sourceOf(failed, () => events).events(1);
}

describe('digestEvents', () => {
  it('keeps a short stream whole', async () => {
    const { rows, total, around } = await digestEvents(stream(installerEvents(5)), LIMITS);
    expect([rows.map((row) => row.index), total, around]).toEqual([[0, 1, 2, 3, 4], 5, []]);
  });

  it('keeps beginning, end, phases, trouble and what is around the failure of a long one', async () => {
    const { rows, total, around } = await digestEvents(stream(installerEvents(10_000, 4321)), LIMITS, 432_100);
    expect(total).toBe(10_000);
    expect(rows.map((row) => row.index)).toEqual([
      ...[0, 1, 2],
      ...[97, 194, 291],
      2500,
      ...[4319, 4320, 4321, 4322],
      ...[5000, 7500],
      ...[9797, 9894, 9991],
      ...[9996, 9997, 9998, 9999],
    ]);
    expect(around.map((row) => row.offset)).toEqual([431_900, 432_000, 432_100, 432_200]);
  });

  it('takes the last lines where the failure is the end of the log', async () => {
    const { around } = await digestEvents(stream(installerEvents(100)), LIMITS, 1_000_000);
    expect(around.map((row) => row.index)).toEqual([97, 98, 99]);
  });

  it('has nothing of nothing', async () => {
    expect(await digestEvents(stream([]), LIMITS, 0)).toEqual({ total: 0, rows: [], around: [] });
  });
});

describe('withGaps', () => {
  it('counts what is left out, at the end too', async () => {
    const { rows, total } = await digestEvents(stream(installerEvents(90)), { ...LIMITS, phases: 0, notable: 0 });
    const gaps = withGaps(rows, total + 7).flatMap((item) => ('leftOut' in item ? [item.leftOut] : []));
    expect(gaps).toEqual([83, 7]);
  });
});
