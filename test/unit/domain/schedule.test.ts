import { describe, expect, test } from 'vitest';
import { changesOf, changeText, lastWord } from '../../../src/domain/schedule.js';
import type { Verdict } from '../../../src/domain/verdict.js';

describe('a change of verdict', () => {
  test.each<[Verdict | null, Verdict, string | undefined]>([
    [null, 'passed', undefined],
    [null, 'healed', undefined],
    [null, 'failed', 'broke'],
    [null, 'error', 'broke'],
    [null, 'cancelled', undefined],
    ['passed', 'passed', undefined],
    ['passed', 'healed', 'healed'],
    ['passed', 'failed', 'broke'],
    ['passed', 'error', 'broke'],
    ['passed', 'cancelled', undefined],
    ['healed', 'passed', 'fixed'],
    ['healed', 'healed', undefined],
    ['healed', 'failed', 'broke'],
    ['failed', 'passed', 'fixed'],
    ['failed', 'healed', 'healed'],
    ['failed', 'failed', undefined],
    ['failed', 'error', 'broke'],
    ['error', 'error', undefined],
    ['error', 'passed', 'fixed'],
  ])('from %s to %s: %s', (before, verdict, change) => {
    const known = before === null ? [] : [{ profile: 'vm', verdict: before }];
    const changes = changesOf(known, [{ profile: 'vm', verdict, run: 'vm-1' }]);
    expect(changes).toEqual(change === undefined ? [] : [{ profile: 'vm', verdict, run: 'vm-1', change, before }]);
  });

  test('is each profile’s own', () => {
    const before = [
      { profile: 'a', verdict: 'passed' },
      { profile: 'b', verdict: 'failed' },
    ] as const;
    const now = [
      { profile: 'b', verdict: 'failed' },
      { profile: 'a', verdict: 'failed' },
    ] as const;
    expect(changesOf(before, now).map(({ profile }) => profile)).toEqual(['a']);
  });
});

test('the last word: a cancelled run says nothing, a profile that is gone is forgotten', () => {
  const before = [
    { profile: 'stays', verdict: 'failed', run: 'stays-1' },
    { profile: 'gone', verdict: 'passed' },
  ] as const;
  const now = [
    { profile: 'stays', verdict: 'cancelled' },
    { profile: 'never', verdict: 'cancelled' },
    { profile: 'new', verdict: 'healed' },
  ] as const;
  expect(lastWord(before, now)).toEqual([before[0], now[2]]);
});

test('a change in words', () => {
  const change = { profile: 'vm', verdict: 'failed', change: 'broke', before: 'passed' } as const;
  expect(changeText('nightly', 'suite-1', change)).toBe('nightly: vm broke (passed → failed) in suite-1');
  const source = { profile: null, verdict: 'error', change: 'broke', before: null } as const;
  expect(changeText('nightly', null, source, 'no such ref')).toBe(
    'nightly: the configuration broke (error): no such ref',
  );
});
