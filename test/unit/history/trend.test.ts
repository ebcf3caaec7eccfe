import { expect, test } from 'vitest';
import { slowerThanBefore, sparkline } from '../../../src/history/trend.js';

const s = (...seconds: number[]) => seconds.map((value) => value * 1000);

test.each([
  ['far above what was usual', s(10, 11, 10, 9, 10, 14), { percent: 40, medianMs: 10_000, of: 5 }],
  [
    'compared with the last ten only',
    s(90, 90, 90, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 20),
    { percent: 100, medianMs: 10_000, of: 10 },
  ],
  ['no more than the spread', s(10, 14, 6, 15, 8, 16), undefined],
  ['by less than a fifth', s(10, 10, 10, 10, 10, 11.9), undefined],
  ['by less than a second', [100, 100, 100, 100, 100, 900], undefined],
  ['of too few', s(10, 10, 10, 10, 100), undefined],
  ['faster', s(10, 10, 10, 10, 10, 1), undefined],
])('slower than before: %s', (_, durations, expected) => {
  expect(slowerThanBefore(durations)).toEqual(expected);
});

test('a sparkline goes from the least to the greatest', () => {
  expect(sparkline([1, 2, 3, 8])).toBe('▁▂▃█');
  expect(sparkline([5, 5])).toBe('▁▁');
});
