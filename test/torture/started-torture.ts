import { execa } from 'execa';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { NixproofError, messageOf } from '../../src/domain/error.js';
import { signalIfThere } from '../../src/host/process.js';
import type { DriverProbe } from '../../src/machines/machine.js';
import { hasOrSkip } from '../contract/requirements.js';
import { postgresPrograms } from './cluster.js';
import { probeConfinement } from './confinement.js';
import type { PlanSize } from './plan.js';

const TORTURE = fileURLToPath(new URL('torture.ts', import.meta.url));
const RUNS = 10;
/** What a test of minutes can bear. */
export const SIZE = {
  runs: RUNS,
  minutes: 0.4,
  workers: 4,
  every: 5,
  machines: 'sandbox',
  hosts: 1,
  server: 'file',
} as const;
export const LONG = { timeout: 15 * 60_000 } as const;

async function probePostgres(): Promise<DriverProbe> {
  try {
    return { available: true, detail: await postgresPrograms() };
  } catch (error) {
    return { available: false, reason: new NixproofError('HOST_TOOL_MISSING', messageOf(error)) };
  }
}

/** Whether this host can be tortured, on a Temporal server of any kind. */
export async function canBeTortured(): Promise<boolean> {
  const confined = await hasOrSkip('confinement', { probe: probeConfinement });
  return (await hasOrSkip('postgres', { probe: probePostgres })) && confined;
}

/** Runs a torture to its end, where no invariant may be broken. */
export async function torture(size: PlanSize): Promise<void> {
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
