import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import type { MachineShape } from '../../../src/domain/profile.js';
import { domainIdentity } from '../../../src/machines/libvirt/identity.js';
import { libvirtMachine } from '../../../src/machines/libvirt/libvirt-machine.js';
import type { LibvirtRecord } from '../../../src/machines/libvirt/record.js';
import { MACHINE_FOLDER } from '../../../src/machines/qemu/launch.js';
import { qemuMachine } from '../../../src/machines/qemu/qemu-machine.js';
import type { QemuRecord } from '../../../src/machines/qemu/record.js';
import { machineFolder, writeRecord } from '../../../src/machines/record.js';
import { freeSlot, hostCapacity, takeSlot, takeSlotNow } from '../../../src/machines/slots.js';
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

const slots = async () =>
  (await readdir(path.join(layout.home, 'slots'))).filter((name) => name.endsWith('.json')).sort();

function listener() {
  const told: string[] = [];
  const stop = new AbortController();
  return { told, stop, work: { signal: stop.signal, progress: (message: string) => told.push(message) } };
}

function take(id: string, memoryMiB: number) {
  const { told, stop, work } = listener();
  return { told, stop, taken: takeSlot(layout, { id, memoryMiB }, work) };
}

/** Takes a slot in a process of its own. */
async function takenElsewhere(id: string, memoryMiB: number) {
  const taker = startProgram('slot-taker', [layout.home, id, String(memoryMiB)], LIMITS);
  onTestFinished(() => void taker.process.kill('SIGKILL'));
  expect(await taker.line()).toBe('taken');
  return taker;
}

/** The slot of a maker that has died. */
async function orphaned(id: string, memoryMiB: number) {
  const taker = await takenElsewhere(id, memoryMiB);
  taker.process.kill('SIGKILL');
  await taker.ended;
}

/** Makes shell scripts the programs of these names, and an empty cache: what is found out of programs is kept there. */
async function programs(scripts: Readonly<Record<string, string>>) {
  const bin = path.join(layout.home, 'bin');
  await mkdir(bin);
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(path.join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  vi.stubEnv('PATH', `${bin}:${process.env['PATH'] ?? ''}`);
  vi.stubEnv('XDG_CACHE_HOME', path.join(layout.home, 'cache'));
}

/** What a machine of libvirt's has from before its domain is defined. */
async function libvirtFolder(id: string) {
  await mkdir(machineFolder(layout, id), { recursive: true });
  await writeFile(path.join(machineFolder(layout, id), 'libvirt-uri'), 'qemu:///system\n');
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

  test('of a maker that was killed is removed, unless something of its machine runs, with a record or without', async () => {
    const folder = machineFolder(layout, 'running');
    const qemu = spawn('sleep', ['600'], { env: { ...process.env, [MACHINE_FOLDER]: folder } });
    onTestFinished(() => void qemu.kill('SIGKILL'));
    await once(qemu, 'spawn');
    await orphaned('running', 1000);
    await orphaned('gone', 1000);
    expect(await slots()).toEqual(['gone.json', 'running.json']);
    await take('mine', 2000).taken;
    expect(await slots()).toEqual(['mine.json', 'running.json']);
  });

  test('of libvirt’s is asked of libvirt, whoever takes one; where that does not answer it stays taken', async () => {
    await programs({ virsh: `echo ${domainIdentity(layout, 'running').uuid}` });
    for (const id of ['running', 'gone']) {
      await libvirtFolder(id);
      await orphaned(id, 1000);
    }
    expect(await slots()).toEqual(['gone.json', 'running.json']);
    await take('mine', 2000).taken;
    expect(await slots()).toEqual(['mine.json', 'running.json']);
    await writeFile(path.join(layout.home, 'bin', 'virsh'), 'exit 1\n');
    await freeSlot(layout, 'mine');
    const { told, taken, stop } = take('large', 2500);
    await vi.waitFor(() => expect(told).toEqual(['waiting for room: 1 of 2 machines, 1000 of 3000 MiB are taken']), {
      timeout: 30_000,
    });
    stop.abort(new Error('no more'));
    await expect(taken).rejects.toThrow('no more');
  });

  test('taken again is the same one', async () => {
    await take('mine', 2000).taken;
    await take('mine', 2000).taken;
    expect(await slots()).toEqual(['mine.json']);
  });

  test('is taken at once where there is room for it to the last MiB, and else not at all', async () => {
    const { work } = listener();
    const takeNow = (id: string, memoryMiB: number) => takeSlotNow(layout, { id, memoryMiB }, work);
    expect(await takeNow('large', 3001)).toBe(false);
    expect(await takeNow('first', 2000)).toBe(true);
    expect(await takeNow('second', 1001)).toBe(false);
    expect(await takeNow('second', 1000)).toBe(true);
    expect(await takeNow('third', 0)).toBe(false);
    expect(await slots()).toEqual(['first.json', 'second.json']);
  });

  test('is what a file ending in .json says, and nothing else in its folder', async () => {
    await take('first', 100).taken;
    await writeFile(path.join(layout.home, 'slots', 'second.tmp'), '{}');
    await take('second', 100).taken;
    expect(await slots()).toEqual(['first.json', 'second.json']);
  });

  test('is kept, however little the host gives by now', async () => {
    await takenElsewhere('other', 1000);
    await take('mine', 2000).taken;
    vi.stubEnv('NIXPROOF_MAX_MEMORY', '1500');
    await take('mine', 2000).taken;
    expect(await slots()).toEqual(['mine.json', 'other.json']);
  });

  test('larger than the host is refused, with numbers', async () => {
    await expect(take('large', 4000).taken).rejects.toMatchObject({
      code: 'HOST_MEMORY_LOW',
      message: 'the machine needs 4000 MiB of memory, this host gives 3000 MiB to machines',
      details: { availableMiB: 3000, neededMiB: 4000 },
    });
  });
});

describe('a machine that lost its slot', () => {
  const shape: MachineShape = { cpus: 1, memoryMiB: 1500, firmware: 'bios', diskBytes: [1024] };
  const info = {
    id: 'mine',
    base: 'debian',
    createdAt: new Date(0).toISOString(),
    shape,
    detail: '',
    hostKey: undefined,
  };
  const live = { definition: { binary: 'qemu-system-x86_64', args: [] }, hostKey: '' };
  const ofQemu = { ...info, driver: 'qemu', process: undefined, live } as const;
  const ofLibvirt = {
    ...info,
    driver: 'libvirt',
    uri: 'qemu:///system',
    liveDisks: 1,
    address: { host: '127.0.0.1', port: 1 },
  } as const;
  const machines = {
    qemu: (stage: QemuRecord['stage']) => qemuMachine(layout, { ...ofQemu, stage }),
    libvirt: (stage: LibvirtRecord['stage']) => libvirtMachine(layout, { ...ofLibvirt, stage }),
  };
  const files = { qemu: ofQemu, libvirt: ofLibvirt };

  test.each([
    ['qemu', 'started again', 'MACHINE_QEMU_FAILED'],
    ['qemu', 'brought back', 'MACHINE_CHECKPOINT_MISSING'],
    ['libvirt', 'started again', 'MACHINE_LIBVIRT'],
    ['libvirt', 'brought back', 'MACHINE_CHECKPOINT_MISSING'],
  ] as const)('of %s waits for one before it is %s', async (driver, how, code) => {
    const virsh = '[ "$4" != define ] || { echo error: no >&2; exit 1; }';
    await programs({
      virsh,
      'qemu-system-x86_64': 'case "$*" in *--version | *"machine none"*) ;; *) exit 1 ;; esac',
      'qemu-img': 'true',
    });
    const stage = how === 'started again' ? 'restarting' : 'live';
    await writeRecord(layout, { ...files[driver], stage } as QemuRecord);
    await takenElsewhere('other', 2000);
    const { told, work } = listener();
    await using machine = machines[driver](stage);
    const begun =
      how === 'started again' ? machine.restartInstalled(work) : machine.checkpoints?.restore('a1-p1', work);
    const ended = expect(begun).rejects.toMatchObject({ code });
    await vi.waitFor(() => expect(told).toEqual(['waiting for room: 1 of 2 machines, 2000 of 3000 MiB are taken']), {
      timeout: 30_000,
    });
    await freeSlot(layout, 'other');
    await ended;
    expect(await slots()).toEqual(['mine.json']);
  });
});

describe('the capacity of a host', () => {
  test('is what the environment says', () => {
    expect(hostCapacity(LIMITS)).toEqual({ machines: 2, memoryMiB: 3000 });
  });

  test('else what there is, without a reserve', () => {
    const { machines, memoryMiB } = hostCapacity({});
    expect(machines).toBe(6 * availableParallelism());
    expect(memoryMiB).toBe(Math.floor(totalmem() / 2 ** 20) - 1024);
  });

  test.each(['0', '-1', '1.5', 'many', ' '])('is not %j', (value) => {
    expect(() => hostCapacity({ NIXPROOF_MAX_MEMORY: value })).toThrow(
      `NIXPROOF_MAX_MEMORY: expected a whole number from 1, got ${JSON.stringify(value)}`,
    );
  });
});
