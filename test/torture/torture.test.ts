import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import { signalIfThere } from '../../src/host/process.js';
import type { DriverProbe } from '../../src/machines/machine.js';
import { hasOrSkip } from '../contract/requirements.js';
import { postgresPrograms } from './cluster.js';
import { probeConfinement } from './confinement.js';
import { planOf, type PlanSize } from './plan.js';

const TORTURE = fileURLToPath(new URL('torture.ts', import.meta.url));
const RUNS = 10;
const SIZE = { runs: RUNS, minutes: 0.4, workers: 4, every: 5, machines: 'sandbox', hosts: 1, server: 'file' } as const;
const fresh = Math.floor(Math.random() * 1e9);

async function probePostgres(): Promise<DriverProbe> {
  try {
    return { available: true, detail: await postgresPrograms() };
  } catch (error) {
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) };
  }
}
const confined = (await hasOrSkip('confinement', { probe: probeConfinement })) ? test : test.skip;
const onPostgres = (await hasOrSkip('postgres', { probe: probePostgres })) ? confined : test.skip;

test('the same numbers give the same plan, others another', () => {
  expect(planOf({ seed: 7, ...SIZE })).toEqual(planOf({ seed: 7, ...SIZE }));
  expect(planOf({ seed: 8, ...SIZE })).not.toEqual(planOf({ seed: 7, ...SIZE }));
});

const LONG = { timeout: 15 * 60_000 } as const;
confined('seed 1: no invariant is broken', LONG, () => torture({ seed: 1, ...SIZE }));
confined('seed 2, two hosts: no invariant is broken', LONG, () => torture({ seed: 2, ...SIZE, hosts: 2 }));
onPostgres('seed 3, on PostgreSQL: no invariant is broken', LONG, () =>
  torture({ seed: 3, ...SIZE, server: 'postgres' }),
);
confined(`seed ${fresh}, a fresh one: no invariant is broken`, LONG, () => torture({ seed: fresh, ...SIZE }));

async function torture(size: PlanSize): Promise<void> {
  const numbers = Object.entries({ ...size, parallel: RUNS }).flatMap(([name, value]) => [`--${name}`, String(value)]);
  // A group of its own: what is confined ends with the first process of its group, and with no less.
  const child = execa(process.execPath, ['--import', 'jiti/register', TORTURE, ...numbers], {
    all: true,
    reject: false,
    detached: true,
  });
  const end = () => {
    if (child.pid !== undefined) signalIfThere(-child.pid, 'SIGKILL');
  };
  process.once('exit', end);
  onTestFinished(() => {
    process.off('exit', end);
    end();
  });
  const { all, exitCode } = await child;
  expect(exitCode, all).toBe(0);
  expect(all).toMatch(new RegExp(`│ +runs +│ +${RUNS} +│`));
  expect(all).toContain('no invariant is broken');
}
