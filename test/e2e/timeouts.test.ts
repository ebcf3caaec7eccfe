import { expect, test } from 'vitest';
import { LONG, onlyRun, openBench } from './bench.js';

test('checks that take longer than the profile lets them are red, those that had ended are not', LONG, async () => {
  const bench = await openBench('own');
  await bench.worker();
  const profile = {
    driver: 'sandbox',
    install: { kind: 'script', run: 'true' },
    timeouts: { checks: '3s' },
    checks: [
      { name: 'quick', run: 'true' },
      { name: 'endless', run: 'exec sleep 7000' },
      { name: 'after it', run: 'true' },
    ],
  };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
  const ended = await bench.np(folder, 'test', '--json');
  expect(ended.exit).toBe(1);
  const { verdict, checks } = onlyRun(ended);
  expect([verdict, checks.map(({ name, status }) => `${name}: ${status}`)]).toEqual([
    'failed',
    ['quick: pass', 'endless: fail', 'after it: fail'],
  ]);
  expect(checks[1]?.detail).toBe('it had not ended when the time of timeouts.checks was used up');
  await bench.expectNothingLeft();
});
