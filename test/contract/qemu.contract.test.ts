import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, inject, test } from 'vitest';
import type { MachineShape } from '../../src/domain/profile.js';
import { layoutOf } from '../../src/host/paths.js';
import { isAlive, processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import type { Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { launch } from '../../src/machines/qemu/launch.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { machineFolder } from '../../src/machines/record.js';
import { argumentsIn, QEMU } from './bare-qemu.js';
import { GRUB_TARGETS, installLiveSystem } from './installation.js';
import { shareBases } from '../shared-bases.js';
import { type Context, machineContract } from './machine-contract.js';
import { hasOrSkip } from './requirements.js';

const GIB = 1024 ** 3;
const BASE = 'debian';

const UEFI: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [3 * GIB, 1 * GIB], firmware: 'uefi' };
/** The template of one disk is another test's, too. */
const BIOS: MachineShape = { ...UEFI, diskBytes: [3 * GIB], firmware: 'bios' };

/** What only a machine with a process of its own can suffer. */
function accidents(context: () => Context): void {
  afterEach(async () => {
    const { driver, request, work } = context();
    await driver.destroy(request.id, work);
  });

  test('a machine whose making was killed half-way is made anew, and nothing of it stays', async () => {
    const { layout, driver, request, work } = context();
    const folder = machineFolder(layout, request.id);
    await mkdir(folder, { recursive: true });
    const options = { folder, id: request.id, network: 'none', signal: work.signal } as const;
    const half = await launch(QEMU, argumentsIn(folder), options);
    await using machine = await driver.create(request, work);
    expect(await isAlive(half.identity)).toBe(false);
    // QEMU, and what is beside it.
    expect(await processesWithEnvironment('NIXPROOF_MACHINE', request.id)).toHaveLength(2);
    expect(await machine.isRunning()).toBe(true);
  });

  test('a machine whose QEMU was killed is gone, and creating it starts over', async () => {
    const { driver, request, work } = context();
    await using first = await driver.create(request, work);
    const qemu = await first.hostProcess?.();
    if (qemu) process.kill(qemu.pid, 'SIGKILL');
    expect(await waitUntil(async () => !(await first.isRunning()), 10_000)).toBe(true);
    await expect(driver.attach(request.id, work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    expect((await driver.list()).find(({ id }) => id === request.id)).toMatchObject({ state: 'stopped' });
    await using second = await driver.create(request, work);
    expect((await (await second.connect(work)).exec(['true'])).exitCode).toBe(0);
  });

  test('a disk that nothing was installed on never boots, and the console says why', async () => {
    const { layout, driver, request, work } = context();
    await using live = await driver.create(request, work);
    const impatient = createQemuDriver({ layout, bootDeadlineMs: 20_000 });
    await using machine = await impatient.attach(request.id, work);
    await expect(machine.restartInstalled(work)).rejects.toMatchObject({
      code: 'MACHINE_NEVER_BOOTED',
      details: { consoleLog: live.consoleLog, console: expect.any(Array) as unknown },
    });
  });

  test('a base that was not prepared is named, with the command that prepares it', async () => {
    const { request, work } = context();
    const elsewhere = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-no-base-')));
    await expect(createQemuDriver({ layout: elsewhere }).create(request, work)).rejects.toMatchObject({
      code: 'HOST_BASE_MISSING',
      hint: 'run `nixproof setup --base debian`',
    });
    await rm(elsewhere.home, { recursive: true });
  });
}

const driver = createQemuDriver({ layout: layoutOf(tmpdir()) });

if (await hasOrSkip('qemu', driver)) {
  machineContract('qemu, uefi', {
    makeDriver: createQemuDriver,
    base: BASE,
    shape: UEFI,
    prepare: async (layout, work) => {
      await prepareBase(BASE, layout, work, UEFI);
    },
    more: accidents,
    install: (machine, connection, work) => installLiveSystem(GRUB_TARGETS.uefi, machine, connection, work),
  });

  // What differs under BIOS is how it boots.
  test('qemu, bios: a machine boots from the disk that was installed', { timeout: 20 * 60_000 }, async () => {
    const layout = await shareBases(await mkdtemp(path.join(tmpdir(), 'nixproof-bios-')), inject('sharedHome'));
    const bios = createQemuDriver({ layout });
    const work: Work = { signal: new AbortController().signal, progress: () => undefined };
    const id = `bios-${process.pid}`;
    try {
      await prepareBase(BASE, layout, work, BIOS);
      await using machine = await bios.create({ id, base: BASE, shape: BIOS }, work);
      await installLiveSystem(GRUB_TARGETS.bios, machine, await machine.connect(work), work);
      await machine.restartInstalled(work);
      const connection = await machine.connect(work);
      expect((await connection.exec(['cat', '/etc/installed'])).stdout).toBe('yes\n');
      expect((await connection.exec(['test', '-d', '/sys/firmware/efi'])).exitCode).toBe(1);
    } finally {
      await bios.destroy(id, work);
      await rm(layout.home, { recursive: true, force: true });
    }
  });
} else {
  describe.skip('machine contract: qemu', () => test('needs QEMU', () => undefined));
}
