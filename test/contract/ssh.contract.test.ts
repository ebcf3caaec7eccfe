import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ExistingMachine, MachineShape } from '../../src/domain/profile.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { waitUntil } from '../../src/host/process.js';
import type { Driver, Machine, MachineRequest, Work } from '../../src/machines/machine.js';
import { machineFolder, readRecord, writeRecord } from '../../src/machines/record.js';
import { createSshDriver } from '../../src/machines/ssh/driver.js';
import type { SshRecord } from '../../src/machines/ssh/record.js';
import { makeLabBox, probeLabBox, type LabBox } from '../fixtures/lab-box/lab-box.js';
import { startProgram } from '../fixtures/programs/programs.js';
import { machineContract } from './machine-contract.js';
import { hasOrSkip } from './requirements.js';

const DISKS = [64 * 1024 * 1024, 8 * 1024 * 1024];
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 2, diskBytes: DISKS, firmware: 'uefi' };
const OTHER_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
const work: Work = { signal: new AbortController().signal, progress: () => undefined };

async function contract(): Promise<void> {
  const boxes = [await makeLabBox('box-1', DISKS), await makeLabBox('box-2', DISKS)];
  afterAll(async () => {
    for (const box of boxes) await box[Symbol.asyncDispose]();
  });
  machineContract('ssh', {
    makeDriver: createSshDriver,
    base: undefined,
    shape: SHAPE,
    hosts: () => boxes.map(({ host }) => host),
    crashes: false,
    // What a box boots from its disk is the same files under another host key.
    install: async (_machine, connection) => {
      await connection.exec(['sh', '-c', 'echo yes >/etc/installed']);
    },
  });
}

function machines(): void {
  let box: LabBox;
  let layout: Layout;
  let driver: Driver;

  beforeAll(async () => {
    box = await makeLabBox('lab-1', DISKS);
  });
  afterAll(() => box[Symbol.asyncDispose]());
  beforeEach(async () => {
    layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-ssh-')));
    driver = createSshDriver({ layout });
    await box.power('off');
    return async () => {
      for (const { id } of await driver.list()) await driver.destroy(id, work);
      await rm(layout.home, { recursive: true, force: true });
    };
  });

  const request = (id: string, change: Partial<ExistingMachine> = {}): MachineRequest => ({
    id,
    base: undefined,
    shape: SHAPE,
    hosts: [{ ...box.host, ...change }],
  });
  const commands = (change: ExistingMachine['commands']) => ({ commands: { ...box.host.commands, ...change } });
  const reads = async (machine: Machine, file: string) =>
    (await (await machine.connect(work)).exec(['cat', file])).stdout;
  /** Begins to make a machine and waits until it says that it waits. */
  const waiter = async (id: string, signal: AbortSignal = work.signal) => {
    const said: string[] = [];
    const made = driver.create(request(id), { signal, progress: (message) => said.push(message) });
    made.catch(() => undefined);
    expect(await waitUntil(async () => said.length > 0, 30_000)).toBe(true);
    return { said, made };
  };

  test('a second run waits until the first has given the machine back', async () => {
    const first = await driver.create(request('first'), work);
    const second = await waiter('second');
    expect(second.said).toEqual(['waiting for a machine: lab-1 is with first']);
    await (await first.connect(work)).exec(['touch', '/root/of-the-first']);
    await driver.destroy('first', work);
    await using machine = await second.made;
    const connection = await machine.connect(work);
    expect((await connection.exec(['test', '-e', '/root/of-the-first'])).exitCode).toBe(1);
    expect(await reads(machine, '/var/lib/nixproof/machine')).toBe('second\n');
    await expect(first.connect(work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    await expect(first.isRunning()).resolves.toBe(false);
    // Of the run that has it no longer; the machine goes on.
    await driver.destroy('first', work);
    expect((await connection.exec(['true'])).exitCode).toBe(0);
    await first[Symbol.asyncDispose]();
  });

  test('a run that waits can be told to stop, and has nothing then', async () => {
    await using machine = await driver.create(request('first'), work);
    const abort = new AbortController();
    const { made } = await waiter('second', abort.signal);
    abort.abort(new Error('no longer wanted'));
    await expect(made).rejects.toThrow('no longer wanted');
    expect((await driver.list()).map(({ id }) => id)).toEqual(['first']);
    expect(await machine.isRunning()).toBe(true);
  });

  test('a machine whose making was killed stays its run’s, and is reset again', async () => {
    const mark = path.join(layout.home, 'resetting');
    const slow = `${box.command('reset')} && touch ${mark} && while [ -e ${mark} ]; do sleep 0.1; done`;
    const before = await box.resets().catch(() => 0);
    const maker = startProgram('ssh-maker', [layout.home]);
    maker.process.stdin.end(JSON.stringify(request('first', commands({ reset: slow }))));
    const isResetting = () => readFile(mark).then(...([() => true, () => false] as const));
    expect(await waitUntil(isResetting, 30_000)).toBe(true);
    maker.process.kill('SIGKILL');
    await maker.ended;
    // The orphaned command ends too.
    await rm(mark);

    await expect(driver.attach('first', work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    expect(await driver.list()).toMatchObject([{ id: 'first', state: 'stopped' }]);
    const { said, made } = await waiter('second');
    expect(said).toEqual(['waiting for a machine: lab-1 is with first']);
    await using machine = await driver.create(request('first'), work);
    expect(await reads(machine, '/var/lib/nixproof/machine')).toBe('first\n');
    expect(await box.resets()).toBe(before + 2);
    await driver.destroy('first', work);
    await (await made)[Symbol.asyncDispose]();
  });

  test('a lease whose run has no record any more is taken over', async () => {
    await (await driver.create(request('first'), work))[Symbol.asyncDispose]();
    await rm(machineFolder(layout, 'first'), { recursive: true });
    await using machine = await driver.create(request('second'), work);
    expect(await reads(machine, '/var/lib/nixproof/machine')).toBe('second\n');
  });

  test('the first host key seen is pinned; another one is refused, saying where it is pinned', async () => {
    await (await driver.create(request('first'), work))[Symbol.asyncDispose]();
    await driver.destroy('first', work);
    const { port } = box.host;
    const pin = path.join(layout.hosts, `127.0.0.1:${port}`, 'host-key.json');
    const known = JSON.parse(await readFile(pin, 'utf8')) as { readonly hostKey: string };
    const live = (await readFile(path.join(box.folder, 'key-live.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
    expect(known).toEqual({ hostKey: live, configured: null });

    await writeFile(pin, JSON.stringify({ ...known, hostKey: OTHER_KEY }));
    await expect(driver.create(request('second'), work)).rejects.toMatchObject({
      code: 'TRANSPORT_HOST_KEY',
      message: `lab-1: root@127.0.0.1:${port} presented a host key that is not the pinned one`,
      hint: `another machine answers at this address, or its reset did not reset it; if the change is yours, remove ${pin}`,
      details: { presented: live, pinned: OTHER_KEY },
    });
    expect(await driver.list()).toEqual([]);

    await using machine = await driver.create(request('third', { hostKeyChangesOnReset: true }), work);
    expect((await machine.endpoint()).hostKey).toBe(live);
  });

  test('another host key than the configured one is refused, and the machine given back', async () => {
    await expect(driver.create(request('first', { hostKey: OTHER_KEY }), work)).rejects.toMatchObject({
      code: 'TRANSPORT_HOST_KEY',
      hint: 'another machine answers at this address, or its reset did not reset it; if the change is yours, correct machines.lab-1.hostKey',
    });
    await using machine = await driver.create(request('second'), work);
    expect(await machine.isRunning()).toBe(true);
  });

  test('a reset command that fails is told with the end of its output, and the machine given back', async () => {
    const reset =
      'echo "$NIXPROOF_MACHINE_NAME $NIXPROOF_MACHINE_ADDRESS $NIXPROOF_RUN" >&2; echo no power >&2; exit 9';
    await expect(driver.create(request('first', commands({ reset })), work)).rejects.toMatchObject({
      code: 'MACHINE_COMMAND_FAILED',
      message: 'the reset command of lab-1 failed: lab-1 127.0.0.1 first\nno power',
      hint: `run machines.lab-1.reset by hand in ${box.folder}, with NIXPROOF_MACHINE_NAME=lab-1 in the environment`,
      details: { machine: 'lab-1', command: 'reset', exitCode: 9, output: ['lab-1 127.0.0.1 first', 'no power'] },
    });
    expect(await driver.list()).toEqual([]);
  });

  test('a command that does not end is ended, with all it started', async () => {
    const mark = path.join(layout.home, 'child');
    const reset = `sleep 600 & echo $! >${mark}; wait`;
    // Long enough that the child has begun, however busy this host is.
    const host = { ...commands({ reset }), commandTimeoutMs: 10_000 };
    await expect(driver.create(request('first', host), work)).rejects.toMatchObject({
      code: 'MACHINE_COMMAND_FAILED',
      message: 'the reset command of lab-1 failed: it did not end within 10 s',
    });
    const child = `/proc/${(await readFile(mark, 'utf8')).trim()}/stat`;
    expect(await waitUntil(() => readFile(child).then(...([() => false, () => true] as const)), 10_000)).toBe(true);
  });

  test('a machine that cannot be switched off stays its run’s until it can', async () => {
    await (
      await driver.create(request('first', commands({ stop: 'echo stuck >&2; exit 1' })), work)
    )[Symbol.asyncDispose]();
    onTestFinished(() => box.power('off'));
    await expect(driver.destroy('first', work)).rejects.toMatchObject({
      message: 'the stop command of lab-1 failed: stuck',
    });
    expect(await driver.list()).toMatchObject([{ id: 'first', state: 'running' }]);
    const { said, made } = await waiter('second');
    expect(said).toEqual(['waiting for a machine: lab-1 is with first']);
    await rm(machineFolder(layout, 'first'), { recursive: true });
    await (await made)[Symbol.asyncDispose]();
  });

  test('ready is asked until it says yes', async () => {
    const asked = path.join(layout.home, 'asked');
    const ready = `echo asked >>${asked}; [ "$(wc -l <${asked})" -ge 2 ]`;
    await using machine = await driver.create(request('first', commands({ ready })), work);
    expect(await readFile(asked, 'utf8')).toBe('asked\nasked\n');
    expect(await machine.isRunning()).toBe(true);
  });

  test('a reset that leaves an earlier run’s files is no reset', async () => {
    await (await driver.create(request('first'), work))[Symbol.asyncDispose]();
    await driver.destroy('first', work);
    await expect(driver.create(request('second', commands({ reset: 'true' })), work)).rejects.toMatchObject({
      code: 'MACHINE_NOT_PRISTINE',
      message: "lab-1 was reset, and still has an earlier run's files",
      hint: 'does machines.lab-1.reset end only when the old system is gone?',
    });
  });

  test('a machine that never answers says so', async () => {
    const host = { ...commands({ start: 'true' }), bootTimeoutMs: 1000 };
    await expect(driver.create(request('first', host), work)).rejects.toMatchObject({
      code: 'MACHINE_NEVER_BOOTED',
      message: expect.stringMatching(
        /^lab-1: the pristine system never answered SSH: no SSH connection to root@127/,
      ) as string,
      hint: `look at its screen: does it boot, does it start sshd, and does it let ${box.host.key} in as root?`,
    });
  });

  test('a key that cannot log in is told before anything is reset', async () => {
    const before = await box.resets();
    const key = path.join(layout.home, 'no-key');
    await writeFile(key, 'no key\n');
    await expect(driver.create(request('first', { key }), work)).rejects.toMatchObject({ code: 'CONFIG_KEY_UNUSABLE' });
    await expect(driver.create(request('first', { key: `${key}.none` }), work)).rejects.toMatchObject({
      code: 'CONFIG_KEY_MISSING',
      message: `machine lab-1: ${key}.none cannot be read on this host`,
    });
    expect(await box.resets()).toBe(before);
  });

  test('a power cycle that was cut short is done again', async () => {
    await using machine = await driver.create(request('first'), work);
    const record = (await readRecord<SshRecord>(layout, 'first')) as SshRecord;
    await writeRecord(layout, { ...record, stage: 'restarting' } as SshRecord);
    await box.power('off');
    await using attached = await driver.attach('first', work);
    expect(await attached.isRunning()).toBe(true);
    await attached.restartInstalled(work);
    const key = (await readFile(path.join(box.folder, 'key-disk.pub'), 'utf8')).split(' ').slice(0, 2).join(' ');
    expect((await attached.endpoint()).hostKey).toBe(key);
    expect((await (await machine.connect(work)).exec(['true'])).exitCode).toBe(0);
  });

  describe('without any command', () => {
    const bootId = '/proc/sys/kernel/random/boot_id';
    const bare = () => request('bare', { commands: {} });
    beforeEach(async () => {
      await box.power('reset');
      await box.power('on');
    });

    test('it is used as it is, and says so; an earlier run’s files and processes go', async () => {
      const first = await driver.create(bare(), work);
      expect(first.detail).toBe(`ssh: lab-1 at 127.0.0.1:${box.host.port}, not pristine: it has no reset command`);
      const left =
        'mkdir -p "$1" && echo sleep 600 >"$1/nixproof-run" && cd "$1" && { setsid sh ./nixproof-run & echo $! >pid; }';
      const connection = await first.connect(work);
      const pids: string[] = [];
      for (const name of ['attempt-1', 'heal-1', 'heal-1/undo']) {
        const at = `/var/lib/nixproof/${name}`;
        await connection.exec(['sh', '-c', `{ ${left}; } </dev/null >/dev/null 2>&1`, 'sh', at]);
        pids.push((await reads(first, `${at}/pid`)).trim());
      }
      await first[Symbol.asyncDispose]();
      await driver.destroy('bare', work);

      await using again = await driver.create(bare(), work);
      const next = await again.connect(work);
      expect(await next.exec(['ls', '/var/lib/nixproof'])).toMatchObject({ exitCode: 0, stdout: 'machine\n' });
      const alive = ['sh', '-c', 'for pid; do ! kill -0 "$pid" 2>/dev/null || echo "$pid"; done', 'sh', ...pids];
      expect(await waitUntil(async () => (await next.exec(alive)).stdout === '', 10_000)).toBe(true);
    });

    test('it is restarted by a reboot over SSH, once', async () => {
      await using machine = await driver.create(bare(), work);
      const before = await reads(machine, bootId);
      await machine.restartInstalled(work);
      const after = await reads(machine, bootId);
      expect(after).not.toBe(before);
      await machine.restartInstalled(work);
      expect(await reads(machine, bootId)).toBe(after);
      expect(await readRecord(layout, 'bare')).toMatchObject({ stage: 'installed', system: { bootId: after.trim() } });
    });

    test.each(['before', 'after'])('a restart that was cut short %s the reboot goes on', async (when) => {
      await using live = await driver.create(bare(), work);
      const record = (await readRecord<SshRecord>(layout, 'bare')) as SshRecord;
      if (when === 'after') await live.reboot(work);
      const rebooted = await reads(live, bootId);
      await writeRecord(layout, { ...record, stage: 'restarting' } as SshRecord);
      await using machine = await driver.attach('bare', work);
      await machine.restartInstalled(work);
      expect((await reads(machine, bootId)) === rebooted).toBe(when === 'after');
      expect(await readRecord(layout, 'bare')).toMatchObject({ stage: 'installed' });
    });
  });
}

if (await hasOrSkip('sshd', { probe: probeLabBox })) {
  await contract();
  describe('machines that exist already', { timeout: 120_000 }, machines);
} else {
  describe.skip('machine contract: ssh', () => test('needs root, sshd and overlay mounts', () => undefined));
}
