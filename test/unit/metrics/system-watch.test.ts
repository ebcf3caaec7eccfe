import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchSystem, type WatchedSystem } from '../../../src/metrics/system-watch.js';
import type { SystemReading } from '../../../src/domain/system.js';
import { identify, waitUntil } from '../../../src/host/process.js';
import type { Connection, ExecResult, Machine } from '../../../src/machines/machine.js';

const PROC = '100.00 50.00\n0.50 0.40 0.30 1/100 1234\nMemTotal: 1000 kB\nMemAvailable: 400 kB\n';

let file: string;
beforeEach(async () => {
  file = path.join(await mkdtemp(path.join(tmpdir(), 'np-system-')), 'system.ndjson');
});
afterEach(async () => {
  vi.useRealTimers();
  await rm(path.dirname(file), { recursive: true, force: true });
});

/** Stands in for a connection: `answer` is asked for what a command prints. */
function connectionThat(answer: (signal?: AbortSignal) => Promise<string>) {
  const exec = vi.fn<Connection['exec']>(async (_argv, options): Promise<ExecResult> => ({
    exitCode: 0,
    stdout: await answer(options?.signal),
    stderr: '',
  }));
  return { exec, connection: { isOpen: true, exec } as unknown as Connection };
}

function watched(more: Partial<Machine> = {}): WatchedSystem {
  const machine = { info: { driver: 'qemu' }, ...more } as Machine;
  const work = { signal: new AbortController().signal, progress: () => undefined };
  return { machine, target: machine, install: { kind: 'script' } as WatchedSystem['install'], file, work };
}

const lines = async () => (await readFile(file, 'utf8').catch(() => '')).split('\n').slice(0, -1);

test('what the guest and its process say is noted, behind what another one has left', async () => {
  await writeFile(file, '{"at":1,"of":"gu');
  const watch = watchSystem(watched({ hostProcess: () => identify(process.pid) }));
  watch.through(connectionThat(async () => PROC).connection);
  expect(await waitUntil(async () => (await lines()).length === 3, 10_000)).toBe(true);
  await watch.stop();
  const [torn, guest, vm] = await lines();
  expect(torn).toBe('{"at":1,"of":"gu');
  expect(JSON.parse(guest ?? '')).toMatchObject({
    of: 'guest',
    clock: 100,
    levels: { load: 0.5, 'memory.used': 600 * 1024 },
  });
  const { levels, counters } = JSON.parse(vm ?? '') as SystemReading;
  expect(levels['memory']).toBeGreaterThan(10 * 1024 * 1024);
  expect(counters['cpu']).toBeGreaterThan(0);
});

test('what a sandbox tells is the host’s', async () => {
  const watch = watchSystem(watched({ info: { driver: 'sandbox' } as Machine['info'] }));
  watch.through(connectionThat(async () => PROC).connection);
  await watch.stop();
  expect((await lines()).map((line) => (JSON.parse(line) as SystemReading).of)).toEqual(['host']);
});

test('a guest that does not answer is not asked again meanwhile, and the end does not wait for it', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const deaf = connectionThat(
    (signal) => new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('given up')))),
  );
  const watch = watchSystem(watched());
  watch.through(deaf.connection);
  expect(await waitUntil(async () => deaf.exec.mock.calls.length === 1, 10_000)).toBe(true);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(deaf.exec).toHaveBeenCalledTimes(1);
  await watch.stop();
  expect(await lines()).toEqual([]);
});

test('a dead connection is a reading less, and the next one is used', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const dead = connectionThat(() => Promise.reject(new Error('lost')));
  const watch = watchSystem(watched());
  watch.through(dead.connection);
  expect(await waitUntil(async () => dead.exec.mock.calls.length === 1, 10_000)).toBe(true);
  watch.through({ isOpen: false } as Connection);
  await vi.advanceTimersByTimeAsync(5000);
  watch.through(connectionThat(async () => PROC).connection);
  const noted = async () => {
    await vi.advanceTimersByTimeAsync(5000);
    return (await lines()).length > 0;
  };
  expect(await waitUntil(noted, 10_000)).toBe(true);
  expect(dead.exec).toHaveBeenCalledTimes(1);
  await watch.stop();
});

test('a guest that is slow to answer is asked less often', async () => {
  vi.useFakeTimers();
  const slow = connectionThat(() => new Promise((resolve) => setTimeout(() => resolve('nothing of the kind'), 700)));
  const watch = watchSystem(watched());
  watch.through(slow.connection);
  await vi.waitFor(() => expect(slow.exec).toHaveBeenCalledTimes(1), { timeout: 10_000 });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(slow.exec).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(slow.exec).toHaveBeenCalledTimes(2);
  await watch.stop();
});

test('the longer it goes on, the fewer', async () => {
  vi.useFakeTimers();
  await writeFile(file, '{}\n'.repeat(4000));
  const guest = connectionThat(async () => 'says nothing of the kind');
  const watch = watchSystem(watched());
  watch.through(guest.connection);
  // The file is really read.
  await vi.waitFor(() => expect(guest.exec).toHaveBeenCalledTimes(1), { timeout: 10_000 });
  await vi.advanceTimersByTimeAsync(200_000);
  expect(guest.exec.mock.calls.length).toBeLessThanOrEqual(12);
  expect(guest.exec.mock.calls.length).toBeGreaterThan(5);
  await watch.stop();
});
