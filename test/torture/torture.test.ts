import { expect, test } from 'vitest';
import { planOf } from './plan.js';
import { torment } from './torment.js';

const SIZE = { runs: 10, minutes: 0.4, workers: 3 } as const;
const fresh = Math.floor(Math.random() * 1e9);

test('the same numbers give the same plan, others another', () => {
  expect(planOf({ seed: 7, ...SIZE })).toEqual(planOf({ seed: 7, ...SIZE }));
  expect(planOf({ seed: 8, ...SIZE })).not.toEqual(planOf({ seed: 7, ...SIZE }));
});

test.each([1, 2, 3, fresh])('seed %i: no invariant is broken', { timeout: 15 * 60_000 }, async (seed) => {
  const said: string[] = [];
  const { runs, broken } = await torment(planOf({ seed, ...SIZE }), {
    ...SIZE,
    // No run is left out, however slow this host is.
    minutes: 60,
    parallel: 10,
    say: (line) => said.push(line),
  });
  expect(broken, `npm run torture -- --seed ${seed} --runs 10 --minutes 0.4\n${said.join('\n')}`).toEqual([]);
  expect(runs).toBe(SIZE.runs);
});
