import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { freeSlot, hostCapacity, takeSlot } from '../../../src/machines/slots.js';
import { startProgram } from '../../fixtures/programs/programs.js';

const LIMITS = { NIXPROOF_MAX_MACHINES: '2', NIXPROOF_MAX_MEMORY: '3000' };
let layout: Layout;
beforeEach(async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-slots-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  layout = layoutOf(home);
  for (const [name, value] of Object.entries(LIMITS)) vi.stubEnv(name, value);
});
afterEach(() => vi.unstubAllEnvs());

const stopped = () => Promise.resolve(false);
const slots = async () =>
  (await readdir(path.join(layout.home, 'slots'))).filter((name) => name.endsWith('.json')).sort();

function take(id: string, memoryMiB: number, runs: (id: string) => Promise<boolean> = stopped) {
  const told: string[] = [];
  const stop = new AbortController();
  const taken = takeSlot(layout, { id, memoryMiB }, runs, {
    signal: stop.signal,
    progress: (message) => told.push(message),
  });
  return { told, stop, taken };
}

/** Takes a slot in a process of its own. */
async function takenElsewhere(id: string, memoryMiB: number) {
  const taker = startProgram('slot-taker', [layout.home, id, String(memoryMiB)], LIMITS);
  onTestFinished(() => void taker.process.kill('SIGKILL'));
  expect(await taker.line()).toBe('taken');
  return taker;
}

describe('a slot', () => {
  test('is waited for while another has the memory, and taken when that is given back', async () => {
    await takenElsewhere('first', 2000);
    const { told, taken } = take('second', 1500);
    await vi.waitFor(
      () => expect(told).toEqual(['waiting for room: 1 of 2 machines, 2000 of 3000 MiB are taken']),
      30_000,
    );
    expect(await slots()).toEqual(['first.json']);
    await freeSlot(layout, 'first');
    await taken;
    expect(await slots()).toEqual(['second.json']);
  });

  test('is waited for while there are machines enough', async () => {
    await takenElsewhere('first', 100);
    await take('second', 100).taken;
    const { told, taken, stop } = take('third', 100);
    await vi.waitFor(
      () => expect(told).toEqual(['waiting for room: 2 of 2 machines, 200 of 3000 MiB are taken']),
      30_000,
    );
    stop.abort(new Error('no more'));
    await expect(taken).rejects.toThrow('no more');
    expect(await slots()).toEqual(['first.json', 'second.json']);
  });

  test('of a maker that was killed is removed, unless its machine runs', async () => {
    for (const id of ['gone', 'running']) {
      const taker = await takenElsewhere(id, 1000);
      taker.process.kill('SIGKILL');
      await taker.ended;
      // A dead maker's slot would be removed by the next.
      if (id === 'gone') expect(await slots()).toEqual(['gone.json']);
    }
    expect(await slots()).toEqual(['running.json']);
    await take('mine', 2000, (id) => Promise.resolve(id === 'running')).taken;
    expect(await slots()).toEqual(['mine.json', 'running.json']);
  });

  test('taken again is the same one', async () => {
    await take('mine', 2000).taken;
    await take('mine', 2000).taken;
    expect(await slots()).toEqual(['mine.json']);
  });

  test('larger than the host is refused, with numbers', async () => {
    await expect(take('large', 4000).taken).rejects.toMatchObject({
      code: 'HOST_MEMORY_LOW',
      message: 'the machine needs 4000 MiB of memory, this host gives 3000 MiB to machines',
      details: { availableMiB: 3000, neededMiB: 4000 },
    });
  });
});

describe('the capacity of a host', () => {
  test('is what the environment says', () => {
    expect(hostCapacity(LIMITS)).toEqual({ machines: 2, memoryMiB: 3000 });
  });

  test('else what there is, without a reserve', () => {
    const { machines, memoryMiB } = hostCapacity({});
    expect(machines % 6).toBe(0);
    expect(memoryMiB).toBeGreaterThan(0);
  });

  test.each(['0', '-1', '1.5', 'many', ' '])('is not %j', (value) => {
    expect(() => hostCapacity({ NIXPROOF_MAX_MEMORY: value })).toThrow(
      `NIXPROOF_MAX_MEMORY: expected a whole number from 1, got ${JSON.stringify(value)}`,
    );
  });
});
