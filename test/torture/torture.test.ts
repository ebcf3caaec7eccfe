import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import { hasOrSkip } from '../contract/requirements.js';
import { planOf, type PlanSize } from './plan.js';

const TORTURE = fileURLToPath(new URL('torture.ts', import.meta.url));
const RUNS = 10;
const SIZE = {
  runs: RUNS,
  minutes: 0.4,
  workers: 3,
  every: 5,
  hosts: 1,
  machines: 'sandbox',
  server: 'file',
} as const satisfies Partial<PlanSize>;
const fresh = Math.floor(Math.random() * 1e9);

const namespaces = {
  async probe() {
    try {
      await execa('unshare', ['--net', '--mount', 'nft', 'list', 'ruleset']);
      return { available: true, detail: 'namespaces and a packet filter' } as const;
    } catch (error) {
      return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) } as const;
    }
  },
};
const confined = (await hasOrSkip('netns', namespaces)) ? test : test.skip;

test('the same numbers give the same plan, others another', () => {
  expect(planOf({ seed: 7, ...SIZE })).toEqual(planOf({ seed: 7, ...SIZE }));
  expect(planOf({ seed: 8, ...SIZE })).not.toEqual(planOf({ seed: 7, ...SIZE }));
});

confined.each([1, 2, 3, fresh])('seed %i: no invariant is broken', { timeout: 15 * 60_000 }, async (seed) => {
  const numbers = Object.entries({ seed, ...SIZE, parallel: RUNS }).flatMap(([name, value]) => [
    `--${name}`,
    String(value),
  ]);
  const { all, exitCode } = await execa(process.execPath, ['--import', 'jiti/register', TORTURE, ...numbers], {
    all: true,
    reject: false,
  });
  expect(exitCode, all).toBe(0);
  expect(all).toMatch(new RegExp(`│ +runs +│ +${RUNS} +│`));
  expect(all).toContain('no invariant is broken');
});
