import { chmod, readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { hasOrSkip } from '../contract/requirements.js';
import { makeLabBox, probeLabBox, type LabBox } from '../fixtures/lab-box/lab-box.js';
import { isThere, LONG, onlyRun, openBench, parsed, type Bench } from './bench.js';

const INSTALL = `#!/bin/sh
set -eu
. /var/lib/nixproof/bin/nixproof.sh
nixproof-phase FILES
echo "$NIXPROOF_PROFILE on $NIXPROOF_DISKS"
echo "$NIXPROOF_PROFILE" >"$NIXPROOF_DISK"
sync
np_success done
`;

function tests(): void {
  let box: LabBox;
  let bench: Bench;
  let folder: string;

  beforeAll(async () => {
    box = await makeLabBox('lab');
    bench = await openBench('own');
    const machines = `machines:
  lab:
    address: 127.0.0.1
    port: ${box.host.port}
    key: id_ed25519
    disks: ${JSON.stringify(box.host.disks)}
    reset: ./power.sh reset
    start: ./power.sh on
    stop: ./power.sh off
`;
    folder = await bench.folder({
      'impatient.yaml': `${machines}profiles:
  impatient:
    install: { kind: script, run: ./install.sh }
    timeouts: { machine: 3s }
`,
      'install.sh': INSTALL,
      'power.sh': `#!/bin/sh\necho "$NIXPROOF_MACHINE_NAME $1 $NIXPROOF_MACHINE_BOOT" >>${box.folder}/switched\nexec ${box.command('on').replace(' on ', ' "$1" ')}\n`,
      id_ed25519: await readFile(box.host.key, 'utf8'),
      'nixproof.yaml': `${machines}profiles:
  stays:
    install: { kind: script, run: ./install.sh, reboot: false }
    checks:
      - { name: the disk is written, run: 'head -c 6 "${box.host.disks[0] ?? ''}"', expect: stays }
  restarts:
    machines: [lab]
    install: { kind: script, run: ./install.sh }
    checks:
      - { run: 'head -c 9 "${box.host.disks[0] ?? ''}"', expect: restarts }
      - { reboot: 1 }
`,
    });
    await chmod(path.join(folder, 'id_ed25519'), 0o600);
    await bench.worker();
  });
  afterAll(() => box[Symbol.asyncDispose]());

  test('a machine that exists already is reset, tested and given back', LONG, async () => {
    const ended = await bench.np(folder, 'test', 'stays', '--driver', 'ssh', '--json');
    expect(ended.exit).toBe(0);
    const run = onlyRun(ended);
    expect(run).toMatchObject({
      verdict: 'passed',
      driver: 'ssh',
      attempts: 1,
      phases: [{ name: 'FILES' }],
      checks: [{ name: 'the disk is written', status: 'pass', detail: 'stays' }],
      log: { verified: true },
      notes: [`ssh: lab at 127.0.0.1:${box.host.port}, made pristine by its reset`],
    });
    expect(await readFile(path.join(run.artifacts, 'attempt-1/install.log'), 'utf8')).toMatch(
      /^stays on \/var\/lib\/box\/disk-1$/m,
    );
    expect(await readFile(path.join(box.folder, 'switched'), 'utf8')).toBe(
      'lab reset live\nlab on live\nlab off live\n',
    );
    expect(await isThere(path.join(bench.layout.hosts, `127.0.0.1:${box.host.port}`, 'lease.json'))).toBe(false);
    await bench.expectNothingLeft();
  });

  test('two runs at once share the one machine, one after the other', LONG, async () => {
    const ended = await bench.np(folder, 'test', '--driver', 'ssh', '--parallel', '2', '--json');
    const { verdict, runs } = parsed<SuiteReport>(ended);
    expect([ended.exit, verdict]).toEqual([0, 'passed']);
    const restarts = runs.find(({ profile }) => profile === 'restarts') as RunReport;
    expect(restarts).toMatchObject({ bootedInstalled: true, checks: [{ status: 'pass' }, { detail: 'came back' }] });
    await bench.expectNothingLeft();
  });

  test('a kept machine is listed, answers, and is given back by hand', LONG, async () => {
    const { run } = onlyRun(await bench.np(folder, 'test', 'stays', '--driver', 'ssh', '--keep', 'always', '--json'));
    expect(parsed(await bench.np(folder, 'vm', 'list', '--json'))).toMatchObject([
      { id: run, driver: 'ssh', state: 'running' },
    ]);
    expect((await bench.np(folder, 'vm', 'ip', run)).stdout).toBe(`127.0.0.1:${box.host.port}\n`);
    expect((await bench.np(folder, 'vm', 'ssh', run, '--', 'cat', '/var/lib/nixproof/machine')).stdout).toBe(
      `${run}\n`,
    );
    // Who gives a machine three seconds to be free does not get this one.
    const impatient = ['test', '--driver', 'ssh', '--config', 'impatient.yaml', '--json'];
    expect(onlyRun(await bench.np(folder, ...impatient))).toMatchObject({
      verdict: 'error',
      attempts: 0,
      fault: {
        code: 'MACHINE_STEP_TIMEOUT',
        message: 'getting a pristine machine took longer than timeouts.machine, 3 s',
      },
    });
    expect((await bench.np(folder, 'vm', 'stop', run)).exit).toBe(0);
    await bench.expectNothingLeft();
  });
}

if (await hasOrSkip('sshd', { probe: probeLabBox })) describe('the ssh driver', tests);
else describe.skip('the ssh driver', () => test('needs root, sshd and overlay mounts', () => undefined));
