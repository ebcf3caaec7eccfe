import { mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, inject, test } from 'vitest';
import type { SuiteReport } from '../../src/domain/suite.js';
import { layoutOf } from '../../src/host/paths.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { hasOrSkip } from '../contract/requirements.js';
import { shareBases } from '../shared-bases.js';
import { openBench, parsed, reached } from './bench.js';
import { prepareGround } from './drill-ground.js';
import { fill } from './fill.js';
import { ownMounts, probeMounts } from './own-mounts.js';

const MINUTE_MS = 60_000;
const able =
  (await hasOrSkip('mounts', { probe: probeMounts })) &&
  (await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })));

/** Long enough for the disk to be filled meanwhile. */
const WRITES = `nixproof-phase WAIT
sleep 60
nixproof-phase WRITE
head -c 64M /dev/urandom | tee /dev/vdb | sha256sum >/root/sum
sync`;

test.runIf(able)(
  'a guest whose disk finds no room stands still and goes on, or goes with its run',
  { timeout: 20 * MINUTE_MS },
  async () => {
    await using mounts = await ownMounts();
    const bench = await openBench('own', {}, mounts.inside);
    await prepareGround({ layout: await shareBases(bench.layout.home, inject('sharedHome')) });
    await mkdir(bench.layout.machines, { recursive: true });
    await mounts.mountSmall(bench.layout.machines, 2560);
    await bench.worker();
    const profile = {
      driver: 'qemu',
      base: 'debian',
      machine: { memory: 1024, cpus: 1, disks: ['2G'], firmware: 'bios' },
      install: { kind: 'script', run: WRITES, reboot: false },
      checks: [{ name: 'all of it is there', run: 'head -c 64M /dev/vdb | sha256sum | cmp - /root/sum' }],
    };
    const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
    const filler = mounts.seen(path.join(bench.layout.machines, '.filler'));
    /** Begins a run and fills the disk under its guest. */
    const standstill = async (): Promise<string> => {
      const suite = parsed<SuiteReport>(await bench.np(folder, 'test', 'one', '--detach', '--json'));
      const run = suite.runs[0]?.run ?? '';
      const state = (pattern: RegExp) => async () => pattern.test((await bench.status(run)).state);
      await reached('the installer', state(/^installing: WAIT/), 5 * MINUTE_MS);
      await fill(filler);
      await reached('the standstill', state(/^waiting for room/), 5 * MINUTE_MS);
      return run;
    };

    const run = await standstill();
    await rm(filler);
    await bench.np(folder, 'watch', run);
    const { verdict, attempts, log, checks } = await bench.status(run);
    expect({ verdict, attempts, verified: log.verified, checks }).toMatchObject({
      verdict: 'passed',
      attempts: 1,
      verified: true,
      checks: [{ status: 'pass' }],
    });

    const cancelled = await standstill();
    // It does not wait for the room that its machine may be taking.
    await bench.np(folder, 'cancel', cancelled);
    expect((await bench.verdictOf(cancelled)).verdict).toBe('cancelled');
    await rm(filler);
    await bench.expectNothingLeft();
  },
);
