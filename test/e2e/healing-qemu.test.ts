import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { MachineShape } from '../../src/domain/profile.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { layoutOf } from '../../src/host/paths.js';
import { commandLine, processesWithEnvironment } from '../../src/host/process.js';
import type { Work } from '../../src/domain/work.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { hasOrSkip } from '../contract/requirements.js';
import { shareBases } from '../shared-bases.js';
import { comparesShown, HEALS } from '../shown.js';
import { openBench, parsed, reached, type Bench, type Ended } from './bench.js';

const MINUTE_MS = 60_000;
/** Its first machines wait for a template that is made from a cold boot. */
const DEADLINE_MS = 20 * MINUTE_MS;

/** Of all its machines. */
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'uefi' };
const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };

const profile = (script: string, more: object = {}) => ({
  driver: 'qemu',
  base: 'debian',
  machine: { memory: SHAPE.memoryMiB, cpus: SHAPE.cpus, disks: ['1G'], firmware: SHAPE.firmware },
  install: { kind: 'script', run: `./${script}.sh`, reboot: false },
  ...more,
});
/** As the kernel would, for want of memory. */
async function killQemu(run: string): Promise<void> {
  const processes = await processesWithEnvironment('NIXPROOF_MACHINE', run);
  const commands = await Promise.all(processes.map(async ({ pid }) => ({ pid, command: await commandLine(pid) })));
  const qemus = commands.filter(({ command }) => command?.includes('qemu-system'));
  expect(qemus).toHaveLength(1);
  for (const { pid } of qemus) process.kill(pid, 'SIGKILL');
}

const FIRST = '#!/bin/sh\nset -e\nnixproof-phase FIRST\necho first >>/root/first\n';
const ONCE = { checks: [{ name: 'first phase ran once', run: 'wc -l </root/first', expect: '1' }] };
const FILES = {
  'nixproof.yaml': JSON.stringify({
    profiles: { busy: profile('busy', ONCE), lost: profile('lost', ONCE), kept: profile('kept') },
  }),
  'race.json': JSON.stringify({
    profiles: {
      raced: profile('raced', {
        checks: [
          ...ONCE.checks,
          { name: 'this machine saw the right heal and no other', run: 'ls /root/heals', expect: 'right' },
        ],
      }),
    },
    healing: {
      max: 4,
      heals: [
        // In this order by confidence: the run's own machine, and two copies of it.
        {
          name: 'useless',
          for: 'network.http',
          confidence: 0.99,
          run: ['mkdir -p /root/heals; touch /root/heals/useless'],
        },
        {
          name: 'endless',
          for: 'network.http',
          confidence: 0.98,
          run: ['mkdir -p /root/heals; touch /root/heals/endless', 'sleep 3000'],
        },
        {
          name: 'right',
          for: 'network.http',
          confidence: 0.97,
          run: ['mkdir -p /root/heals; touch /root/heals/right'],
        },
      ],
    },
  }),
  // What is long behind the point where it failed does not end the race.
  'raced.sh': `${FIRST}nixproof-phase SECOND
[ -e /root/heals/right ] || { echo "curl: (22) The requested URL returned error: 404"; exit 1; }
nixproof-phase THIRD
echo installed
`,
  // What the first phase mounts is in the second one's way.
  'busy.sh': `${FIRST}mkfs.ext4 -qF "$NIXPROOF_DISK"
mkdir -p /mnt/old && mount "$NIXPROOF_DISK" /mnt/old
nixproof-phase SECOND
mkfs.ext4 -F "$NIXPROOF_DISK"
nixproof-phase THIRD
mkdir -p /mnt/new && mount "$NIXPROOF_DISK" /mnt/new && echo installed >/mnt/new/system
`,
  'lost.sh': `${FIRST}nixproof-phase SECOND
echo "in the middle"
sleep 15
nixproof-phase THIRD
echo installed
`,
  'kept.sh': `${FIRST}echo "as it was" >/root/state
echo "Job for demo.service failed"
exit 1
`,
};

/** Real checkpoints: a heal that goes back to the failed phase, a machine that dies, and one that is kept. */
describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))('healing on qemu', () => {
  let bench: Bench;
  let folder = '';
  let ended: Ended;
  const reports = new Map<string, RunReport>();
  const report = (name: string) => reports.get(name) as RunReport;

  beforeAll(async () => {
    bench = await openBench('own');
    await bench.worker();
    folder = await bench.folder(FILES);
    // The template of its machines, and no other.
    await prepareBase('debian', await shareBases(bench.layout.home, inject('sharedHome')), WORK, SHAPE);
    const suite = bench.start(folder, 'test', '--keep', 'failed', '--parallel', '3', '--json');
    const lost = path.basename(path.dirname(await bench.root('lost', DEADLINE_MS)));
    const log = path.join(bench.layout.runs, lost, 'attempt-1/install.log');
    const isInTheMiddle = async () => (await readFile(log, 'utf8').catch(() => '')).includes('in the middle');
    await reached('the second phase', isInTheMiddle, DEADLINE_MS);
    await killQemu(lost);
    ended = await suite.ended;
    for (const run of parsed<SuiteReport>(ended).runs) reports.set(run.profile, run);
  }, DEADLINE_MS);
  afterAll(() => bench[Symbol.asyncDispose](), 2 * MINUTE_MS);

  const shows = comparesShown(HEALS, () => 'qemu run');
  const attemptsOf = ({ phases }: RunReport) => phases.map(({ name, attempt }) => `${attempt} ${name}`);

  test('a heal goes back to the checkpoint of the phase that failed, and no further', () => {
    const busy = report('busy');
    expect(busy).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      failures: [{ class: 'disk.busy', phase: 'SECOND' }],
      heals: [{ name: 'unmount-the-target', phase: 'SECOND', outcome: 'worked', resumed: 'phase', files: 0 }],
      checks: [{ name: 'first phase ran once', status: 'pass' }],
      log: { verified: true },
    });
    expect(attemptsOf(busy)).toEqual(['1 FIRST', '1 SECOND', '2 SECOND', '2 THIRD']);
    expect(busy.checkpoints.map(({ phase, attempt }) => `${attempt} ${phase}`)).toEqual([
      '1 FIRST',
      '1 SECOND',
      // With the heal's change in it: what a later failure of this phase would go back to.
      '2 SECOND',
      '2 THIRD',
    ]);
    for (const { tookMs } of busy.checkpoints) expect(tookMs).toBeGreaterThan(0);
    expect(busy.historyEvents).toBeLessThan(200);
    shows('unmount-the-target');
  });

  test('a machine whose QEMU was killed is brought back, without its first phase again', () => {
    const lost = report('lost');
    expect(lost).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      failures: [{ phase: 'SECOND', reason: 'the machine stopped while the installer ran' }],
      heals: [{ name: 'bring-the-machine-back', outcome: 'worked', resumed: 'phase' }],
      checks: [{ name: 'first phase ran once', status: 'pass' }],
      log: { verified: true },
    });
    expect(attemptsOf(lost)).toEqual(['1 FIRST', '1 SECOND', '2 SECOND', '2 THIRD']);
    shows('bring-the-machine-back');
  });

  test(
    'a kept machine is reopened as it was when its installer failed, killed or changed since',
    async () => {
      const kept = report('kept');
      expect(kept).toMatchObject({ verdict: 'failed', attempts: 1, failures: [{ class: 'service.failed' }] });
      const debug = (...command: string[]) => bench.np(folder, 'debug', kept.run, '--', ...command);
      await killQemu(kept.run);
      expect(await debug('cat', '/root/state')).toMatchObject({ exit: 0, stdout: 'as it was\n' });
      expect(await debug('rm', '/root/state')).toMatchObject({ exit: 0 });
      await killQemu(kept.run);
      expect(await debug('cat', '/root/state')).toMatchObject({ exit: 0, stdout: 'as it was\n' });
      expect(await bench.np(folder, 'vm', 'stop', kept.run)).toMatchObject({ exit: 0 });
      expect(ended.exit).toBe(1);
      await bench.expectNothingLeft();
    },
    5 * MINUTE_MS,
  );

  test(
    'heals tried side by side: the first that gets past the failure wins, with its machine; nothing is left of the others',
    async () => {
      const result = await bench.np(folder, 'test', '--config', 'race.json', '--heal', 'race', '--json');
      const raced = parsed<SuiteReport>(result).runs[0] as RunReport;
      expect(raced).toMatchObject({
        verdict: 'healed',
        machine: `${raced.run}-h3`,
        failures: [{ class: 'network.http', phase: 'SECOND' }],
        checks: [{ status: 'pass' }, { status: 'pass' }],
        log: { verified: true },
      });
      const outcomes = raced.heals.map(({ name, outcome }) => `${name} ${outcome}`);
      expect(outcomes.filter((told) => !told.startsWith('useless'))).toEqual(['right worked']);
      expect(raced.notes.join('\n')).toMatch(
        /heals tried side by side: useless, endless, right; first: right; broken off: (useless, )?endless/,
      );
      await bench.expectNothingLeft();
    },
    10 * MINUTE_MS,
  );
});
