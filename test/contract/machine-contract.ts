import { randomBytes } from 'node:crypto';
import { access, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { runShell } from '../../src/checks/shell.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import type { MachineShape } from '../../src/domain/profile.js';
import { comparesShown, contractTitles, DRIVERS } from '../shown.js';
import { openConnection } from '../../src/machines/connection.js';
import type { Connection, Driver, Machine, MachineRequest, Work } from '../../src/machines/machine.js';

/** What the contract is run against. */
export interface Subject {
  readonly makeDriver: (options: { readonly layout: Layout }) => Driver;
  readonly base: string | undefined;
  readonly shape: MachineShape;
  /** The machines that exist already, at least two, for a driver of such. */
  readonly hosts?: () => NonNullable<MachineRequest['hosts']>;
  /** Makes the base, where the driver needs one. */
  readonly prepare?: (layout: Layout, work: Work) => Promise<void>;
  /** Installs something bootable on the first disk; without it nothing is restarted from a disk. */
  readonly install?: (machine: Machine, connection: Connection, work: Work) => Promise<void>;
  /** Whether its machines can be made to crash; they can unless this says no. */
  readonly crashes?: boolean;
  /** Tests of this driver's own, run with a second machine's name while the first machine is there. */
  readonly more?: (context: () => Context) => void;
}

export interface Context {
  readonly layout: Layout;
  readonly driver: Driver;
  readonly request: MachineRequest;
  readonly work: Work;
}

const MINUTE_MS = 60_000;
/** Arguments a careless quoting breaks on. */
const HOSTILE = [
  '',
  ' ',
  "it's",
  '"',
  '$HOME',
  '`id`',
  'a;b',
  'a\nb',
  '*',
  '\\',
  '-n',
  '~',
  'é→',
  '$(id)',
  "'; touch /tmp/pwned; '",
];

/** The machine contract (src/machines/machine.ts), run on real machines of a driver. */
export function machineContract(name: string, { crashes = true, ...subject }: Subject): void {
  describe(`machine contract: ${name}`, { timeout: 20 * MINUTE_MS }, () => {
    const work: Work = { signal: new AbortController().signal, progress: () => undefined };
    const ids = { first: `a-${randomBytes(4).toString('hex')}`, second: `b-${randomBytes(4).toString('hex')}` };
    const request = (id: string): MachineRequest => ({
      id,
      base: subject.base,
      shape: subject.shape,
      ...(subject.hosts ? { hosts: subject.hosts() } : {}),
    });
    let layout: Layout;
    let driver: Driver;
    let machine: Machine;
    let connection: Connection;
    let hasCheckpoints = false;

    const shown = comparesShown(
      DRIVERS,
      () => driver.name,
      async () => [
        ...(await contractTitles('machine-contract.ts')),
        // Those are not for this driver, whatever the table says.
        ...(hasCheckpoints ? [] : await contractTitles('checkpoint-contract.ts')),
      ],
    );
    afterEach(({ task }) => {
      if (task.result?.state === 'pass') shown(task.name);
    });

    const sh = async (script: string, ...args: string[]) => connection.exec(['sh', '-c', script, 'sh', ...args]);
    const file = (absolute: string) => machine.resolvePath(absolute);

    beforeAll(async () => {
      layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-contract-')));
      driver = subject.makeDriver({ layout });
      await subject.prepare?.(layout, work);
      machine = await driver.create(request(ids.first), work);
      hasCheckpoints = machine.checkpoints !== undefined;
      connection = await machine.connect(work);
    }, 20 * MINUTE_MS);

    afterAll(async () => {
      await machine[Symbol.asyncDispose]();
      for (const id of Object.values(ids)) await driver.destroy(id, work);
      await rm(layout.home, { recursive: true, force: true });
    }, 2 * MINUTE_MS);

    test('the driver probes as available and says how it works', async () => {
      const probe = await driver.probe(work);
      expect(probe).toMatchObject({ available: true, detail: expect.stringMatching(/./) as string });
    });

    test('a machine tells what it is', () => {
      expect(machine.info).toMatchObject({ id: ids.first, driver: driver.name });
      expect(machine.disks).toHaveLength(subject.shape.diskBytes.length);
      expect(machine.crash !== undefined).toBe(crashes);
    });

    test('its disks have the size that was asked for', async () => {
      const script =
        'for disk; do if [ -b "$disk" ]; then blockdev --getsize64 "$disk"; else stat -c %s "$disk"; fi; done';
      const { stdout } = await sh(script, ...machine.disks);
      expect(stdout.trim().split('\n').map(Number)).toEqual([...subject.shape.diskBytes]);
    });

    test('its clock is right', async () => {
      const { stdout } = await connection.exec(['date', '+%s']);
      expect(Math.abs(Number(stdout) - Date.now() / 1000)).toBeLessThan(30);
    });

    test('creating it again gives the same machine', async () => {
      await sh('echo kept >"$1"', file('/root/kept'));
      await using again = await driver.create(request(ids.first), work);
      const other = await again.connect(work);
      expect((await other.exec(['cat', file('/root/kept')])).stdout).toBe('kept\n');
    });

    test('a command gives its exit status, its output and its errors, apart', async () => {
      expect(await sh('echo out; echo err >&2; exit 7')).toEqual({ exitCode: 7, stdout: 'out\n', stderr: 'err\n' });
      expect((await sh('kill -9 $$')).exitCode).toBe(137);
    });

    test('standard input reaches a command, from text, bytes and a stream', async () => {
      for (const input of ['text', Buffer.from('text'), Readable.from(['te', 'xt'])]) {
        expect((await connection.exec(['cat'], { input })).stdout).toBe('text');
      }
    });

    test('hostile arguments arrive as they were given', async () => {
      const { stdout } = await sh('for word; do printf "%s\\0" "$word"; done', ...HOSTILE);
      expect(stdout.split('\0').slice(0, -1)).toEqual(HOSTILE);
    });

    test('output beyond the limit is dropped, not kept in memory', async () => {
      const { stdout } = await connection.exec(['head', '-c', '3000000', '/dev/zero'], { maxBytes: 1000 });
      expect(stdout).toHaveLength(1000);
    });

    test('a command that takes too long is given up', async () => {
      await expect(connection.exec(['sleep', '600'], { timeoutMs: 500 })).rejects.toMatchObject({
        code: 'TRANSPORT_TIMEOUT',
      });
    });

    test('a shell ends when it does, whatever it leaves running', async () => {
      const result = await runShell(connection, 'sleep 3000 & echo $! >"$NIXPROOF_ROOT/tmp/left"; echo ok; exit 3', {});
      expect(result).toEqual({ exitCode: 3, stdout: 'ok\n', stderr: '', left: ['sleep'] });
      expect((await sh('kill "$(cat "$NIXPROOF_ROOT/tmp/left")"')).exitCode).toBe(0);
    });

    test('a stream holds the remote process back while nobody reads, and loses nothing', async () => {
      const bytes = 24 * 1024 * 1024;
      const stream = await connection.stream([
        'sh',
        '-c',
        'head -c "$1" /dev/zero; echo done >"$2"',
        'sh',
        String(bytes),
        file('/root/streamed'),
      ]);
      const first = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
      let seen = ((await first.next()).value as Buffer).length;
      expect((await connection.exec(['test', '-e', file('/root/streamed')])).exitCode).toBe(1);
      for (let next = await first.next(); !next.done; next = await first.next()) seen += next.value.length;
      expect(seen).toBe(bytes);
      expect((await connection.exec(['cat', file('/root/streamed')])).stdout).toBe('done\n');
    });

    test('a process that was started detached survives the closing of the connection', async () => {
      await sh(
        'setsid sh -c \'echo $$ >"$1"; while :; do sleep 1; done\' sh "$1" </dev/null >/dev/null 2>&1 &',
        file('/root/pid'),
      );
      const pid = async () => (await connection.exec(['cat', file('/root/pid')])).stdout.trim();
      expect(await waitUntil(async () => /^\d+$/.test(await pid()), 20_000)).toBe(true);
      const started = await pid();
      await connection[Symbol.asyncDispose]();
      connection = await machine.connect(work);
      expect((await connection.exec(['kill', '-0', started])).exitCode).toBe(0);
    });

    test('a fresh driver attaches to it', async () => {
      await using attached = await subject.makeDriver({ layout }).attach(ids.first, work);
      const other = await attached.connect(work);
      expect((await other.exec(['cat', file('/root/kept')])).stdout).toBe('kept\n');
      expect(await attached.isRunning()).toBe(true);
    });

    test('another host key than the pinned one is refused', async () => {
      const endpoint = await machine.endpoint();
      const hostKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA';
      await expect(openConnection({ ...endpoint, hostKey })).rejects.toMatchObject({ code: 'TRANSPORT_HOST_KEY' });
    });

    test('two machines side by side do not see each other', async () => {
      await using other = await driver.create(request(ids.second), work);
      const there = await other.connect(work);
      expect((await there.exec(['test', '-e', other.resolvePath('/root/kept')])).exitCode).toBe(1);
      await there.exec(['sh', '-c', 'echo other >"$1"', 'sh', other.resolvePath('/root/other')]);
      expect((await connection.exec(['test', '-e', file('/root/other')])).exitCode).toBe(1);
      expect((await driver.list()).map(({ id }) => id).sort()).toEqual(Object.values(ids).sort());
      await driver.destroy(ids.second, work);
      expect((await driver.list()).map(({ id }) => id)).toEqual([ids.first]);
      expect((await connection.exec(['true'])).exitCode).toBe(0);
    });

    subject.more?.(() => ({ layout, driver, request: request(ids.second), work }));

    const { install } = subject;
    test.runIf(install)(
      'it restarts from the disk that was installed, with a host key of its own, and stays there',
      async () => {
        const live = (await machine.endpoint()).hostKey;
        await install?.(machine, connection, work);
        await machine.restartInstalled(work);
        connection = await machine.connect(work);
        expect((await connection.exec(['cat', file('/etc/installed')])).stdout).toBe('yes\n');
        const installed = (await machine.endpoint()).hostKey;
        expect(installed).toMatch(/^ssh-/);
        expect(installed).not.toBe(live);

        await connection.exec(['touch', file('/run/this-boot')]);
        await using attached = await subject.makeDriver({ layout }).attach(ids.first, work);
        await attached.restartInstalled(work);
        const other = await attached.connect(work);
        expect((await other.exec(['test', '-e', file('/run/this-boot')])).exitCode).toBe(0);
        expect((await attached.endpoint()).hostKey).toBe(installed);
      },
    );

    // Of the installed system where there is one: the system that reboots in earnest.
    test('a reboot keeps files and ends processes', async () => {
      await sh('echo kept >"$1"; sync', file('/root/rebooted'));
      await sh(
        'setsid sh -c \'echo $$ >"$1"; while :; do sleep 1; done\' sh "$1" </dev/null >/dev/null 2>&1 &',
        file('/root/loop'),
      );
      const pid = async () => (await connection.exec(['cat', file('/root/loop')])).stdout.trim();
      expect(await waitUntil(async () => /^\d+$/.test(await pid()), 20_000)).toBe(true);
      const before = await pid();
      // A pid may be given again, also to the one that asks: what is asked is whether that process
      // still is our loop.
      const isLoop = async () =>
        (await sh('tr "\\0" " " <"/proc/$1/cmdline" 2>/dev/null | grep -c "while [:]"', before)).stdout.trim();
      expect(await isLoop()).toBe('1');
      await machine.reboot(work);
      connection = await machine.connect(work);
      expect(await isLoop()).not.toBe('1');
      expect((await connection.exec(['cat', file('/root/rebooted')])).stdout).toBe('kept\n');
    });

    const afterACrash = crashes ? test : () => undefined;
    afterACrash(
      'where it can crash: it runs no more, nor does anything in it, and creating it starts over',
      async () => {
        await using other = await driver.create(request(ids.second), work);
        const there = await other.connect(work);
        await there.exec([
          'sh',
          '-c',
          'setsid sleep 600 </dev/null >/dev/null 2>&1 & echo lost >"$1"',
          'sh',
          other.resolvePath('/root/lost'),
        ]);
        await other.crash?.();
        expect(await other.isRunning()).toBe(false);
        expect(await processesWithEnvironment('NIXPROOF_MACHINE', ids.second)).toEqual([]);
        await expect(other.connect(work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
        await expect(driver.attach(ids.second, work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
        await other.crash?.();
        await using again = await driver.create(request(ids.second), work);
        const fresh = await again.connect(work);
        expect((await fresh.exec(['test', '-e', again.resolvePath('/root/lost')])).exitCode).toBe(1);
        await driver.destroy(ids.second, work);
        expect((await connection.exec(['true'])).exitCode).toBe(0);
      },
    );

    test('destroying it leaves no process and no file, and can be done twice', async () => {
      await driver.destroy(ids.first, work);
      expect(await processesWithEnvironment('NIXPROOF_MACHINE', ids.first)).toEqual([]);
      await expect(access(path.join(layout.machines, ids.first))).rejects.toMatchObject({ code: 'ENOENT' });
      await driver.destroy(ids.first, work);
      expect(await driver.list()).toEqual([]);
    });

    test('a machine that was destroyed is gone', async () => {
      await expect(driver.attach(ids.first, work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
      await expect(machine.connect(work)).rejects.toMatchObject({
        code: expect.stringMatching(/^(MACHINE|TRANSPORT)_/) as string,
      });
    });
  });
}
