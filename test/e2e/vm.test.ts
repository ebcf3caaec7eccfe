import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunRequest } from '../../src/domain/run.js';
import { identify, waitUntil } from '../../src/host/process.js';
import { runFiles } from '../../src/records/artifacts.js';
import { isThere, LONG, onlyRun, openBench, parsed, type Bench } from './bench.js';

let bench: Bench;
let folder: string;
beforeAll(async () => {
  bench = await openBench('own');
  folder = await bench.folder({
    'nixproof.yaml': `profiles:
  kept:
    driver: sandbox
    install: { kind: script, run: ./install.sh, reboot: false }\n`,
    'install.sh': '#!/bin/sh\necho installed >"$NIXPROOF_ROOT/etc/installed"\n',
    'tree/flake.nix': '{ }\n',
    'tree/deep/file': 'deep\n',
    'tree/.git/config': 'not copied\n',
  });
});

const vm = (...args: string[]) => bench.np(folder, 'vm', ...args);
const inside = (id: string, file: string) => path.join(bench.layout.machines, id, 'root', file);

describe('a machine by hand', () => {
  test('start makes it and says how to reach it', async () => {
    const ended = await vm('start', 'lab', '--driver', 'sandbox', '--disk', '64M', '--disk', '8M', '--memory', '128');
    const disks = ['b', 'c'].map((letter) => inside('lab', `dev/vd${letter}`));
    expect(ended).toEqual({
      exit: 0,
      stdout: [
        'lab is running: sandbox: processes of this host in a scratch folder',
        `  disks    ${disks.join(' ')}`,
        '  shell    nixproof vm ssh lab',
        '  destroy  nixproof vm stop lab',
        '',
      ].join('\n'),
      stderr: 'making a scratch root\n',
    });
    expect((await vm('ssh', 'lab', '--', 'stat', '-c', '%s', ...disks)).stdout).toBe(
      `${64 * 1024 * 1024}\n${8 * 1024 * 1024}\n`,
    );
  });

  test('start again refuses the name, and what is no name', async () => {
    expect(await vm('start', 'lab', '--driver', 'sandbox')).toEqual({
      exit: 2,
      stdout: '',
      stderr:
        'error: there is a machine lab already\nhint: use another name, or make it pristine: `nixproof vm clean lab`\ncode: CONFIG_MACHINE_EXISTS\n',
    });
    expect(await vm('start', 'lab_1', '--driver', 'sandbox')).toMatchObject({
      exit: 2,
      stderr:
        'error: "lab_1" is no name for a machine\nhint: use letters, digits and dashes, sixty at most, with a letter or digit first\ncode: CONFIG_MACHINE_NAME\n',
    });
    expect(await vm('start', 'x', '--driver', 'sandbox', '--memory', '0')).toMatchObject({ exit: 2 });
  });

  test('start without a name gives one', async () => {
    const machine = parsed<{ id: string }>(await vm('start', '--driver', 'sandbox', '--json'));
    expect(machine).toEqual({
      id: expect.stringMatching(/^vm-\d{8}-\d{6}-[\da-f]{4}$/) as string,
      driver: 'sandbox',
      base: null,
      detail: 'sandbox: processes of this host in a scratch folder',
      disks: [inside(machine.id, 'dev/vdb')],
      ssh: null,
    });
    expect(await vm('stop', machine.id)).toMatchObject({ exit: 0, stdout: `destroyed ${machine.id}\n` });
  });

  test('deploy copies a folder as a test does', async () => {
    const tree = path.join(folder, 'tree');
    expect(await vm('deploy', 'lab', 'tree', '--to', '/srv/flake')).toEqual({
      exit: 0,
      stdout: `copied 2 files, 9 bytes, to ${inside('lab', 'srv/flake')}\n`,
      stderr: `copying ${tree}\nverifying 2 files\n`,
    });
    expect((await vm('ssh', 'lab', '--', 'find', 'srv', '-type', 'f')).stdout.trim().split('\n').sort()).toEqual([
      'srv/flake/deep/file',
      'srv/flake/flake.nix',
    ]);
    const again = await vm('deploy', 'lab', 'tree', '--exclude', 'deep', '--exclude', '.git', '--json');
    expect(parsed(again)).toEqual({
      machine: 'lab',
      from: tree,
      to: '/root/config',
      files: 1,
      bytes: 4,
      sha256: expect.stringMatching(/^[\da-f]{64}$/) as string,
    });
    expect(await vm('deploy', 'lab', 'nowhere')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('nowhere, which is to be deployed, is not a folder on this host') as string,
    });
  });

  test('what a sandbox has not is said', async () => {
    for (const [ability, ...args] of [['console', 'true'], ['screen']]) {
      const command = ability === 'screen' ? ['screenshot', 'lab'] : ['console', 'lab', '--', ...args];
      expect(await vm(...command)).toEqual({
        exit: 2,
        stdout: '',
        stderr: `error: the machine lab has no ${ability}: its driver is sandbox\nhint: docs/drivers.md says which driver has what\ncode: UNSUPPORTED_ABILITY\n`,
      });
    }
  });

  test('clean puts it back to pristine, under its name and in its shape', async () => {
    await vm('ssh', 'lab', '--', 'sh', '-c', 'setsid sleep 600 </dev/null >/dev/null 2>&1 & echo $! >root/pid');
    const pid = Number(await readFile(inside('lab', 'root/pid'), 'utf8'));
    expect(await identify(pid)).toBeDefined();
    expect(await vm('clean', 'lab', '--json')).toMatchObject({ exit: 0 });
    expect(await identify(pid)).toBeUndefined();
    expect(await isThere(inside('lab', 'srv/flake'))).toBe(false);
    expect((await vm('ssh', 'lab', '--', 'ls', 'dev')).stdout).toBe('vdb\nvdc\n');
    expect(await vm('clean', 'nobody')).toMatchObject({
      exit: 2,
      stderr:
        'error: there is no machine nobody on this host\nhint: see `nixproof vm list`\ncode: CONFIG_UNKNOWN_MACHINE\n',
    });
  });
});

describe('cleanup', () => {
  let kept: string;
  let left: string;
  const orphan = { pid: -1 };

  beforeAll(async () => {
    await bench.worker();
    const test = async () => onlyRun(await bench.np(folder, 'test', '--json', '--keep', 'always')).run;
    [kept, left] = [await test(), await test()];
    // As if its worker had died for good before it released the machine.
    const file = runFiles(bench.layout.runs, left).request;
    const request = JSON.parse(await readFile(file, 'utf8')) as RunRequest;
    await writeFile(file, JSON.stringify({ ...request, keep: 'never' }));
    await mkdir(path.join(bench.layout.machines, 'half'));
    const child = spawn('sleep', ['600'], {
      env: { ...process.env, NIXPROOF_MACHINE_FOLDER: path.join(bench.layout.machines, 'gone') },
      detached: true,
      stdio: 'ignore',
    });
    child.unref();
    orphan.pid = child.pid ?? -1;
  });

  test('says what it would remove, and leaves it', async () => {
    const { dryRun, removed } = parsed<{ dryRun: boolean; removed: { what: string }[] }>(
      await vm('cleanup', '--dry-run', '--json'),
    );
    expect(dryRun).toBe(true);
    expect(removed.map(({ what }) => what).sort()).toEqual(
      [`a process of ${path.join(bench.layout.machines, 'gone')}`, 'machine half', `machine ${left}`].sort(),
    );
    expect(await identify(orphan.pid)).toBeDefined();
    expect(await isThere(path.join(bench.layout.machines, left))).toBe(true);
  });

  test('removes machines whose run has ended, half-made ones and orphans, and no other', async () => {
    const ended = await vm('cleanup');
    expect(ended).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^freed /m) as string });
    expect(await waitUntil(async () => (await identify(orphan.pid)) === undefined, 10_000)).toBe(true);
    const machines = parsed<{ id: string }[]>(await vm('list', '--json'));
    expect(machines.map(({ id }) => id).sort()).toEqual([kept, 'lab'].sort());
    expect(await isThere(path.join(bench.layout.machines, 'half'))).toBe(false);
    expect((await vm('cleanup')).stdout).toBe('nothing to remove\n');
  });

  test('the machine of a run that has not ended is neither destroyed nor made pristine, unless forced', async () => {
    const file = runFiles(bench.layout.runs, kept).run;
    const ended = await readFile(file, 'utf8');
    await writeFile(file, JSON.stringify({ ...(JSON.parse(ended) as object), verdict: null }));
    const busy = (more: string) => ({
      exit: 2,
      stdout: '',
      stderr: `error: the run ${kept} has not ended, and needs its machine as it is\nhint: end it first: \`nixproof cancel ${kept}\`${more}\ncode: CONFIG_MACHINE_BUSY\n`,
    });
    expect(await vm('clean', kept)).toEqual(busy(''));
    expect(await vm('stop', 'lab', kept)).toEqual(busy(', or give `--force`'));
    await writeFile(file, ended);
    expect(await vm('start', 'forced', '--driver', 'sandbox')).toMatchObject({ exit: 0 });
    expect(await vm('stop', 'forced', '--force')).toEqual({ exit: 0, stdout: 'destroyed forced\n', stderr: '' });
  });

  test('the serial console of a run is told with its times', async () => {
    const files = runFiles(bench.layout.runs, kept);
    expect(await bench.np(folder, 'logs', kept, '--console')).toEqual({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(
        `^error: run ${kept} has no serial console on this host\nhint: driver sandbox, host .+\ncode: CONFIG_NO_LOG\n$`,
      ) as string,
    });
    await writeFile(files.console, 'GRUB\r\nLinux\nlogin: ');
    await writeFile(files.consoleTimes, '{"offset":6,"at":1000}\n{"offset":12,"at":2000}\n');
    expect((await bench.np(folder, 'logs', kept, '--console')).stdout).toBe(
      '1970-01-01T00:00:01.000Z  GRUB\n1970-01-01T00:00:02.000Z  Linux\n-                         login: \n',
    );
  });

  test('a kept machine can be made pristine, and is of the hand from then on', LONG, async () => {
    expect(await isThere(inside(kept, 'etc/installed'))).toBe(true);
    expect(await vm('clean', kept)).toMatchObject({ exit: 0 });
    expect(await isThere(inside(kept, 'etc/installed'))).toBe(false);
    expect((await bench.np(folder, 'cleanup', '--dry-run')).stdout).toBe('nothing to remove\n');
    expect(await vm('start', kept, '--driver', 'sandbox')).toMatchObject({ exit: 2 });
    expect(await vm('stop', kept, 'lab')).toMatchObject({ exit: 0, stdout: `destroyed ${kept}\ndestroyed lab\n` });
    await bench.expectNothingLeft();
  });
});
