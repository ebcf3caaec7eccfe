import { chmod, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { benchOfRun } from '../../src/domain/names.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { hasOrSkip } from '../contract/requirements.js';
import { makeLabBox, probeLabBox, type LabBox } from '../fixtures/lab-box/lab-box.js';
import { DEADLINE_MS, LONG, isThere, onlyRun, openBench, parsed, reached, type Bench } from './bench.js';

/** The stand-in that takes nixos-anywhere's options. */
const STAND_IN = fileURLToPath(new URL('../fixtures/nixos-anywhere/', import.meta.url));
const PATH = `${STAND_IN}:${process.env['PATH'] ?? ''}`;

/** What the stand-in calls on the target; for `away` it waits, the first time, for the power to go, for `stuck` until it is healed. */
const DISKO = `#!/bin/sh
echo "disko $*"
case $* in *'#away') ! mkdir /var/lib/box/waited 2>/dev/null || sleep 600 ;; esac
case $* in *'#stuck') [ -e /root/anywhere/freed ] || sleep 600 ;; esac
`;
const INSTALL = `#!/bin/sh
echo "nixos-install $*"
echo installed >/var/lib/box/disk-1
sync
`;

function tests(): void {
  let box: LabBox;
  let bench: Bench;
  let folder: string;

  beforeAll(async () => {
    box = await makeLabBox('lab');
    bench = await openBench('own', { PATH });
    folder = await bench.folder({
      'flake.nix': '{ outputs = _: { }; }\n',
      'stand-ins/disko': DISKO,
      'stand-ins/nixos-install': INSTALL,
      id_ed25519: await readFile(box.host.key, 'utf8'),
      'nixproof.yaml': `machines:
  lab:
    address: 127.0.0.1
    port: ${box.host.port}
    key: id_ed25519
    disks: ${JSON.stringify(box.host.disks)}
    reset: ${box.command('reset')}
    start: ${box.command('on')}
    stop: ${box.command('off')}
profiles:
  vm:
    install: { kind: nixos-anywhere, flake: .#vm, args: [--option, cores, '1'], timeout: 10m }
    checks:
      - { name: it was installed, run: cat /var/lib/box/disk-1, match: ^installed }
  away:
    install: { kind: nixos-anywhere, flake: .#away, timeout: 10m }
    checks:
      - { run: cat /var/lib/box/disk-1, match: ^installed }
  stuck:
    install: { kind: nixos-anywhere, flake: .#stuck, timeout: 10m }
healing:
  heals:
    - { name: free-it, for: unknown, confidence: 0.95, run: [], config: { freed: 'yes' } }
    - name: switch-it-on-again
      for: ssh.connection
      confidence: 0.95
      run: ['${box.command('off')}', '${box.command('on')}']
`,
    });
    await chmod(path.join(folder, 'id_ed25519'), 0o600);
  }, DEADLINE_MS);
  afterAll(() => box[Symbol.asyncDispose]());

  test('installs a machine from this host, which the bench restarts and checks', LONG, async () => {
    const worker = await bench.worker();
    const ended = await bench.np(folder, 'test', 'vm', '--driver', 'ssh', '--keep', 'always', '--json');
    const run = onlyRun(ended);
    expect(run).toMatchObject({ verdict: 'passed', driver: 'ssh', attempts: 1, bootedInstalled: true });
    expect(run.phases.map(({ name }) => name)).toEqual([
      'CONNECT',
      'BUILD',
      'PREPARE',
      'KEXEC',
      'DISKO_BUILD',
      'DISKO',
      'INSTALL',
      'BOOT',
    ]);
    expect(run.checks).toMatchObject([{ status: 'pass' }]);
    const log = await readFile(path.join(run.artifacts, 'attempt-1/install.log'), 'utf8');
    expect(log).toMatch(/^disko --mode disko --yes-wipe-all-disks --flake \/root\/anywhere#vm$/m);
    expect(log).toMatch(/^nixos-install .*--flake \/root\/anywhere#vm --option cores 1$/m);
    expect(log).not.toMatch(/^###/m);
    // Kept is the machine; the sandbox of its installer is not.
    expect(parsed(await bench.np('/', 'vm', 'list', '--json'))).toMatchObject([{ id: run.run, driver: 'ssh' }]);
    expect((await bench.np('/', 'debug', run.run, '--', 'cat', '/var/lib/box/disk-1')).stdout).toMatch(/^installed/);
    expect((await bench.np('/', 'vm', 'stop', run.run)).exit).toBe(0);
    await bench.expectNothingLeft();
    worker.kill('SIGTERM');
    await worker.ended;
  });

  test('one that goes away is diagnosed and healed from this host, whichever worker is left', LONG, async () => {
    const first = await bench.worker();
    const { runs } = parsed<SuiteReport>(
      await bench.np(folder, 'test', 'away', '--driver', 'ssh', '--detach', '--json'),
    );
    const { run } = runs[0] as RunReport;
    await reached('disko', () => isThere(path.join(box.folder, 'upper/var/lib/box/waited')));
    expect(
      parsed<{ id: string }[]>(await bench.np('/', 'vm', 'list', '--json'))
        .map(({ id }) => id)
        .sort(),
    ).toEqual([run, benchOfRun(run)]);
    expect(parsed<{ removed: unknown[] }>(await bench.np('/', 'cleanup', '--dry-run', '--json')).removed).toEqual([]);
    expect((await bench.np('/', 'vm', 'stop', benchOfRun(run))).stderr).toContain(`the run ${run} has not ended`);
    first.kill('SIGKILL');
    await first.ended;
    const second = await bench.worker();
    await box.power('off');
    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      failures: [{ class: 'ssh.connection', phase: 'DISKO' }],
      heals: [{ name: 'switch-it-on-again', outcome: 'worked', resumed: 'rerun' }],
      checks: [{ status: 'pass' }],
      log: { verified: true },
    });
    const log = await readFile(path.join(report.artifacts, 'attempt-1/install.log'), 'utf8');
    expect(log.match(/^::PHASE::DISKO$/gm)).toHaveLength(1);
    expect(await secretsIn(report.artifacts, await readFile(box.host.key, 'utf8'))).toEqual([]);
    await bench.expectNothingLeft();
    second.kill('SIGTERM');
    await second.ended;
  });

  test('faults strike the machine, or the installer on this host', LONG, async () => {
    const worker = await bench.worker();
    const faults = ['--inject', 'tmp-full', '--inject', 'installer-killed@DISKO'];
    const run = onlyRun(await bench.np(folder, 'test', 'stuck', '--driver', 'ssh', ...faults, '--json'));
    expect(run).toMatchObject({
      verdict: 'healed',
      failures: [{ phase: 'DISKO' }],
      heals: [{ name: 'free-it', outcome: 'worked', files: 1 }],
      faults: [
        { name: 'tmp-full', seen: expect.stringMatching(/./) as string },
        { name: 'installer-killed', phase: 'DISKO', seen: expect.stringContaining('is gone') as string },
      ],
    });
    await bench.expectNothingLeft();
    worker.kill('SIGTERM');
    await worker.ended;
  });

  test('cancelled, it ends with all that it started', LONG, async () => {
    const worker = await bench.worker();
    const { runs } = parsed<SuiteReport>(
      await bench.np(folder, 'test', 'stuck', '--driver', 'ssh', '--detach', '--json'),
    );
    const { run } = runs[0] as RunReport;
    const log = path.join(bench.layout.runs, run, 'attempt-1/install.log');
    await reached('disko', async () => /^disko /m.test(await readFile(log, 'utf8').catch(() => '')));
    await bench.np('/', 'cancel', run);
    expect(await bench.verdictOf(run)).toMatchObject({ verdict: 'cancelled' });
    await bench.expectNothingLeft();
    worker.kill('SIGTERM');
    await worker.ended;
  });

  test('a sandbox is no target, and a host without nixos-anywhere says so', LONG, async () => {
    const sandbox = await bench.np(folder, 'test', 'vm', '--driver', 'sandbox');
    expect([sandbox.exit, sandbox.stderr]).toEqual([
      2,
      expect.stringContaining('vm: kind nixos-anywhere partitions disks'),
    ]);
    const without = await openBench('own');
    const worker = await without.worker();
    const ended = await without.np(folder, 'test', 'vm', '--driver', 'ssh', '--json');
    expect(ended.exit).toBe(3);
    expect(onlyRun(ended)).toMatchObject({
      verdict: 'error',
      fault: { code: 'HOST_TOOL_MISSING', hint: expect.stringContaining('nix-community/nixos-anywhere') as string },
    });
    worker.kill('SIGTERM');
    await without.expectNothingLeft();
  });
}

/** Files below a folder that hold a private key's text. */
async function secretsIn(folder: string, key: string): Promise<readonly string[]> {
  const secret = key.split('\n')[2] ?? '';
  expect(secret.length).toBeGreaterThan(40);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const texts = await Promise.all(files.map(async (file) => [file, await readFile(file, 'utf8')] as const));
  return texts.filter(([, text]) => text.includes(secret)).map(([file]) => file);
}

if (await hasOrSkip('sshd', { probe: probeLabBox }))
  describe('nixos-anywhere (a stand-in) on an existing machine', tests);
else describe.skip('nixos-anywhere', () => test('needs root, sshd and overlay mounts', () => undefined));
