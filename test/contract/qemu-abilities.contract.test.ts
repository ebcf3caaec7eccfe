import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest';
import { collectFrom } from '../../src/activities/collect/collect.js';
import { verify } from '../../src/checks/verify.js';
import type { Check, MachineShape } from '../../src/domain/profile.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { waitUntil } from '../../src/host/process.js';
import type { Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { quote } from '../../src/machines/quote.js';
import { runFiles, type RunFiles } from '../../src/records/artifacts.js';
import { createRedactor } from '../../src/secrets/redactor.js';
import { shareBases } from '../shared-bases.js';
import { hasOrSkip } from './requirements.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const BASE = 'debian';
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
const MINUTE_MS = 60_000;
const ID = `abilities-${process.pid}`;
const secrets = { values: new Map(), redactor: createRedactor([]) };
const work: Work = { signal: new AbortController().signal, progress: () => undefined };

/** One machine for all of it, in the order in which it suffers more and more. */
function abilities(): void {
  let layout: Layout;
  let machine: Machine;

  beforeAll(async () => {
    layout = await shareBases(await mkdtemp(path.join(tmpdir(), 'nixproof-abilities-')), inject('sharedHome'));
    await prepareBase(BASE, layout, work, SHAPE);
    machine = await createQemuDriver({ layout }).create({ id: ID, base: BASE, shape: SHAPE }, work);
  }, 20 * MINUTE_MS);

  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    await createQemuDriver({ layout }).destroy(ID, work);
    await rm(layout.home, { recursive: true, force: true });
  }, 2 * MINUTE_MS);

  const sh = async (script: string, timeoutMs = MINUTE_MS) =>
    machine.console?.exec(['sh', '-c', script], { timeoutMs });
  /** Whether a new connection is answered; the one that was open would not know. */
  const answersSsh = async () => {
    await machine[Symbol.asyncDispose]();
    const limited = { ...work, signal: AbortSignal.timeout(5000) };
    return machine.connect(limited).then(
      () => true,
      () => false,
    );
  };

  test('the console is a root shell of the same system', async () => {
    expect(await sh('id -un; echo to the errors >&2; exit 3')).toEqual({
      exitCode: 3,
      stdout: 'root\nto the errors\n',
      stderr: '',
    });
    const { stdout } = await (await machine.connect(work)).exec(['cat', '/proc/sys/kernel/random/boot_id']);
    expect(await sh('cat /proc/sys/kernel/random/boot_id')).toMatchObject({ stdout });
  });

  test('its exit statuses are the commands’ own', async () => {
    expect(await sh('kill -9 $$')).toMatchObject({ exitCode: 137 });
    expect(await machine.console?.exec(['no-such-command'])).toMatchObject({ exitCode: 127 });
  });

  test('big output comes whole', { timeout: 3 * MINUTE_MS }, async () => {
    const result = await sh('yes 0123456789abcde | head -n 40000; exit 5', 2 * MINUTE_MS);
    expect(result?.exitCode).toBe(5);
    expect(result?.stdout).toBe('0123456789abcde\n'.repeat(40_000));
  });

  test('hostile output, and other writers on the terminal, change nothing', async () => {
    const result = await sh(
      'echo "login: # status 0" >/dev/hvc0; printf "\\033[2J\\003\\004 end 1\\r\\n"; echo "<1>a kernel message" >/dev/kmsg; exit 9',
    );
    expect(result).toEqual({ exitCode: 9, stdout: '\x1b[2J\x03\x04 end 1\r\n', stderr: '' });
  });

  test('a dead service and a failed unit make its checks red', { timeout: 3 * MINUTE_MS }, async () => {
    const service = (name: string): Check => ({ kind: 'service', name, service: name });
    const units: Check = { kind: 'units', name: 'units' };
    const seen = async (...checks: readonly Check[]) =>
      (await verify(machine, checks, work)).map(({ status, detail }) => [status, detail]);
    expect(await seen(service('ssh'), service('no-such'), units)).toEqual([
      ['pass', 'active'],
      ['fail', 'inactive'],
      ['pass', 'running'],
    ]);
    expect(await sh('systemd-run --quiet --wait --unit=breaks false')).toMatchObject({ exitCode: 1 });
    expect(await seen(service('breaks'), units)).toEqual([
      ['fail', 'failed'],
      ['fail', 'degraded breaks.service'],
    ]);
    expect(await sh('systemctl reset-failed breaks')).toMatchObject({ exitCode: 0 });
  });

  test('a command that was given up is ended, and the next ones run', async () => {
    const stubborn = 'trap "" INT QUIT TERM; exec -a stubborn sleep 600';
    await expect(machine.console?.exec(['bash', '-c', stubborn], { timeoutMs: 5000 })).rejects.toMatchObject({
      code: 'TRANSPORT_TIMEOUT',
      message: 'bash did not end within 5 s',
    });
    expect(await sh('pgrep -f "^stubborn" || echo none')).toMatchObject({ stdout: 'none\n' });
    expect(await sh('echo second')).toMatchObject({ stdout: 'second\n' });
  });

  test('another process of the bench uses it through a machine of its own', async () => {
    await using other = await createQemuDriver({ layout }).attach(ID, work);
    const both = await Promise.all([machine, other].map(async (user) => user.console?.exec(['echo', 'here'])));
    expect(both.map((result) => result?.stdout)).toEqual(['here\n', 'here\n']);
  });

  test('a screenshot is a PNG of the screen', async () => {
    const file = path.join(layout.home, 'shots', 'screen.png');
    await machine.screen?.screenshot(file, work);
    const png = await readFile(file);
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]));
    // Width and height (PNG specification, IHDR).
    expect(png.readUInt32BE(16)).toBeGreaterThanOrEqual(640);
    expect(png.readUInt32BE(20)).toBeGreaterThanOrEqual(400);
  });

  test('a run that went wrong leaves its screen, a good one does not', async () => {
    const [good, bad] = ['good', 'bad'].map((run) => runFiles(layout.runs, run)) as [RunFiles, RunFiles];
    for (const { folder } of [good, bad]) await mkdir(folder, { recursive: true });
    await collectFrom({ machine, files: good, work, secrets }, 'passed');
    await collectFrom({ machine, files: bad, work, secrets }, 'failed');
    expect((await readdir(good.folder)).sort()).toEqual(['collected', 'console.log']);
    expect((await readdir(bad.folder)).sort()).toEqual(['collected', 'console.log', 'screen.png']);
  });

  describe('through the command line', () => {
    const np = (...args: string[]) =>
      execa(process.execPath, [CLI, 'vm', ...args], {
        reject: false,
        env: { NIXPROOF_HOME: layout.home, NO_COLOR: '1' },
      });

    test('console runs a command and ends with its exit status', async () => {
      expect(await np('console', ID, '--', 'sh', '-c', 'cat /etc/hostname; exit 4')).toMatchObject({
        exitCode: 4,
        stdout: 'nixproof',
        stderr: '',
      });
      expect(await np('console', ID, '--timeout', '3s', '--', 'sleep', '60')).toMatchObject({
        exitCode: 3,
        stderr: 'error: sleep did not end within 3 s',
      });
      expect(await np('console', ID)).toMatchObject({
        exitCode: 2,
        stderr:
          'error: a console by hand needs a terminal\nhint: give a command behind `--`, or run it from a terminal',
      });
    });

    test('console is a terminal until Ctrl-] is typed', async () => {
      // Node has no pseudo-terminals: script(1) makes one.
      const terminal = execa('script', ['-qefc', quote([process.execPath, CLI, 'vm', 'console', ID]), '/dev/null'], {
        env: { NIXPROOF_HOME: layout.home },
        reject: false,
        stdin: 'pipe',
      });
      onTestFinished(() => void terminal.kill('SIGKILL'));
      let seen = '';
      terminal.stdout.on('data', (chunk: Buffer) => (seen += chunk.toString()));
      const shows = async (text: string) => expect(await waitUntil(async () => seen.includes(text), 40_000)).toBe(true);
      await shows('the console; Ctrl-] leaves it');
      terminal.stdin.write('echo "by $((40 + 2)) hand"\n');
      await shows('by 42 hand');
      // A program there gets Ctrl-C, not this command.
      terminal.stdin.write('echo "sleeping" soundly; sleep 600\n');
      await shows('sleeping soundly');
      terminal.stdin.write('\x03\n');
      await shows('^C');
      terminal.stdin.write('echo "after $((20 + 3))"\n');
      await shows('after 23');
      terminal.stdin.write('\x1d');
      expect((await terminal).exitCode).toBe(0);
      expect(seen).toContain('left the console; what runs there goes on');
      expect(await sh('echo free again')).toMatchObject({ stdout: 'free again\n' });
    });

    test('screenshot writes where it is told', async () => {
      const file = path.join(layout.home, 'by hand.png');
      expect(await np('screenshot', ID, '--output', file)).toMatchObject({ exitCode: 0, stdout: `wrote ${file}` });
      expect((await readFile(file)).toString('latin1', 1, 4)).toBe('PNG');
    });

    test('start, clean and stop: a machine by hand', { timeout: 3 * MINUTE_MS }, async () => {
      const shape = ['--base', BASE, '--memory', '1024', '--cpus', '1', '--disk', '1G', '--firmware', 'bios'];
      const made = await np('start', 'lab', ...shape, '--json');
      expect(made.exitCode).toBe(0);
      expect(JSON.parse(made.stdout)).toMatchObject({
        id: 'lab',
        driver: 'qemu',
        base: BASE,
        disks: ['/dev/vdb'],
        ssh: { host: '127.0.0.1', user: 'root', port: expect.any(Number) as number },
      });
      expect(await np('ssh', 'lab', '--', 'touch', '/root/touched')).toMatchObject({ exitCode: 0 });
      expect(await np('deploy', 'lab', path.dirname(CLI), '--to', '/srv/cli')).toMatchObject({ exitCode: 0 });
      expect(await np('ssh', 'lab', '--', 'ls', '/srv/cli/main.js')).toMatchObject({ exitCode: 0 });
      expect(await np('clean', 'lab')).toMatchObject({
        exitCode: 0,
        stdout: expect.stringMatching(
          /^lab is running: qemu [\d.]+, \w+(?: \([^\n]+\))?, bios[^\n]*\n {2}address {2}root@127/,
        ) as string,
      });
      expect(await np('ssh', 'lab', '--', 'ls', '/root/touched')).toMatchObject({ exitCode: 2 });
      expect((await np('cleanup', '--dry-run')).stdout).toMatch(new RegExp(`^machine ${ID}  .+\\nwould free .+$`));
      expect(await np('stop', 'lab')).toMatchObject({ exitCode: 0, stdout: 'destroyed lab' });
    });
  });

  test('the console is the way in while the cable is out', { timeout: 4 * MINUTE_MS }, async () => {
    await machine.cable?.setPlugged(false);
    expect(await answersSsh()).toBe(false);
    expect(await sh('cat /sys/class/net/e*/carrier')).toMatchObject({ stdout: '0\n' });
    expect(await machine.isRunning()).toBe(true);
    await machine.cable?.setPlugged(true);
    expect(await waitUntil(answersSsh, 2 * MINUTE_MS)).toBe(true);
  });

  test('and while sshd is dead', { timeout: 4 * MINUTE_MS }, async () => {
    expect(await sh('systemctl stop ssh')).toMatchObject({ exitCode: 0 });
    expect(await answersSsh()).toBe(false);
    expect(await sh('systemctl is-active ssh')).toMatchObject({ exitCode: 3, stdout: 'inactive\n' });
    expect(await sh('systemctl start ssh')).toMatchObject({ exitCode: 0 });
    expect(await waitUntil(answersSsh, 2 * MINUTE_MS)).toBe(true);
  });

  test('the shell comes back however often it ends', { timeout: 2 * MINUTE_MS }, async () => {
    for (let index = 0; index < 7; index++) {
      expect(await sh('id -u')).toMatchObject({ stdout: '0\n' });
      // Nobody is left to say how that command ended.
      const suicide = 'kill -KILL $(systemctl show -p MainPID --value serial-getty@hvc0)';
      await expect(sh(suicide, 4000)).rejects.toMatchObject({ code: 'TRANSPORT_TIMEOUT' });
    }
    expect(await sh('echo still')).toMatchObject({ stdout: 'still\n' });
  });

  test('a crash is a power cut', async () => {
    await machine.crash?.();
    expect(await machine.isRunning()).toBe(false);
    await expect(machine.connect(work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    await expect(createQemuDriver({ layout }).attach(ID, work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    await machine.crash?.();
  });
}

if (await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) }))) {
  describe('the abilities of a qemu machine', { timeout: MINUTE_MS }, abilities);
} else {
  describe.skip('the abilities of a qemu machine', () => test('needs QEMU', () => undefined));
}
