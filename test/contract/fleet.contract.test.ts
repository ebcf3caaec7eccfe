import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { processesWithEnvironment } from '../../src/host/process.js';
import type { Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { shareBases } from '../shared-bases.js';
import { hasOrSkip } from './requirements.js';

const MINUTE_MS = 60_000;
const IDS = Array.from({ length: 10 }, (_, index) => `fleet-${index}`);
const SHAPE = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' } as const;
const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const home = await mkdtemp(path.join(tmpdir(), 'nixproof-fleet-'));
const layout = await shareBases(home, inject('sharedHome'));
const driver = createQemuDriver({ layout });

describe.runIf(await hasOrSkip('qemu', driver))('ten clones of one template, side by side', () => {
  const machines: Machine[] = [];

  beforeAll(async () => {
    await prepareBase('debian', layout, work, SHAPE);
    for (const id of IDS) machines.push(await driver.create({ id, base: 'debian', shape: SHAPE }, work));
  }, 30 * MINUTE_MS);
  afterAll(async () => {
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    for (const id of IDS) await driver.destroy(id, work);
    for (const id of IDS) expect(await processesWithEnvironment('NIXPROOF_MACHINE', id)).toEqual([]);
    await rm(layout.home, { recursive: true, force: true });
  }, 5 * MINUTE_MS);

  /** What a script says on each, all asked at once. */
  const ask = (script: string) =>
    Promise.all(
      machines.map(async (machine) => {
        const connection = await machine.connect(work);
        return (await connection.exec(['sh', '-c', script, 'sh', machine.info.id], { timeoutMs: 5 * MINUTE_MS }))
          .stdout;
      }),
    );

  test('all answer, each under its own name, machine id and host key', { timeout: 10 * MINUTE_MS }, async () => {
    expect(await ask('hostname')).toEqual(IDS.map((id) => `${id}\n`));
    expect(new Set(await ask('cat /etc/machine-id')).size).toBe(10);
    const pinned = await Promise.all(machines.map(async (machine) => (await machine.endpoint()).hostKey));
    expect(new Set(pinned).size).toBe(10);
    // New connections, so that each shows the key it was pinned with.
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    expect(await ask('cut -d" " -f1,2 /etc/ssh/ssh_host_ed25519_key.pub')).toEqual(pinned.map((key) => `${key}\n`));
  });

  test('each has a disk of its own', { timeout: 10 * MINUTE_MS }, async () => {
    await ask('echo "$1" | dd of=/dev/vdb conv=fsync 2>/dev/null; echo "$1" >/root/mine; sync');
    expect(await ask('head -n 1 /dev/vdb; cat /root/mine')).toEqual(IDS.map((id) => `${id}\n${id}\n`));
  });
});
