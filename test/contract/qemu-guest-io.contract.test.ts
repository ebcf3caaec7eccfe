import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readJson } from '../../src/host/files.js';
import { layoutOf } from '../../src/host/paths.js';
import { processesWithEnvironment, waitUntil, type ProcessIdentity } from '../../src/host/process.js';
import { hasGuestIo } from '../../src/machines/hypervisor/guest-io/guest-io.js';
import { FILTER } from '../../src/machines/hypervisor/guest-io/sockets.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { keepGoing } from '../../src/machines/qemu/guest-io.js';
import { SOCKETS } from '../../src/machines/qemu/command-line.js';
import { killMachine, launch, socketsFolder } from '../../src/machines/qemu/launch.js';
import { connectQmp } from '../../src/machines/qemu/qmp.js';
import { argumentsIn, QEMU } from './bare-qemu.js';
import { hasOrSkip } from './requirements.js';

const { signal } = new AbortController();
let folder: string;

/** QEMU talks to one at a time. */
async function ask<T>(command: string, parameters?: Record<string, unknown>): Promise<T> {
  await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
  return (await qmp.execute(command, parameters)) as T;
}

async function killGuestIo(): Promise<void> {
  const record = await readJson<{ identity: ProcessIdentity }>(path.join(folder, 'guest-io.json'));
  process.kill(record?.identity.pid ?? 0, 'SIGKILL');
  expect(await waitUntil(async () => !(await hasGuestIo(folder)), 10_000)).toBe(true);
}

async function expectWell(): Promise<void> {
  expect(await ask('query-status')).toMatchObject({ status: 'running' });
  const objects = await ask<readonly { readonly name: string }[]>('qom-list', { path: '/objects' });
  expect(objects.map(({ name }) => name)).toContain(FILTER);
  expect(await hasGuestIo(folder)).toBe(true);
  expect(await processesWithEnvironment('NIXPROOF_GUEST_IO', folder)).toHaveLength(1);
}

describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'what stops a guest is repaired',
  () => {
    beforeEach(async () => {
      folder = await mkdtemp(path.join(tmpdir(), 'nixproof-kept-'));
      const options = { folder, id: 'vm-kept', network: 'internet', signal } as const;
      const { qmp } = await launch(QEMU, argumentsIn(folder), options);
      await qmp[Symbol.asyncDispose]();
    });
    afterEach(async () => {
      await killMachine(folder);
      await rm(folder, { recursive: true, force: true });
    });

    test('a filter whose process was killed, once, however many ask', async () => {
      await killGuestIo();
      await Promise.all([keepGoing(folder, signal), keepGoing(folder, signal), keepGoing(folder, signal)]);
      await expectWell();
    });

    test.each([
      ['before the filter was replaced', []],
      ['between its removal and the next', ['object-del']],
    ])('a repair that was killed %s', async (_, done) => {
      await killGuestIo();
      await ask('stop');
      for (const command of done) await ask(command, { id: FILTER });
      await keepGoing(folder, signal);
      await expectWell();
    });

    test('a repair that was killed before the guest went on, and a copy of the machine', async () => {
      await ask('stop');
      await keepGoing(folder, signal);
      await expectWell();
    });

    test('nothing where all is well', async () => {
      const before = await readJson(path.join(folder, 'guest-io.json'));
      await keepGoing(folder, signal);
      expect(await readJson(path.join(folder, 'guest-io.json'))).toEqual(before);
      await expectWell();
    });
  },
);
