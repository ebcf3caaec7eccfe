import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import type { MachineShape } from '../../src/domain/profile.js';
import { layoutOf } from '../../src/host/paths.js';
import type { Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { checkpointContract } from './checkpoint-contract.js';
import { shareBases } from '../shared-bases.js';
import { hasOrSkip } from './requirements.js';

const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'uefi' };

describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))('qemu', () => {
  const work: Work = { signal: new AbortController().signal, progress: () => undefined };
  let home: string;
  const makeDriver = () => createQemuDriver({ layout: layoutOf(home) });

  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'nixproof-checkpoints-'));
    await prepareBase('debian', await shareBases(home, inject('sharedHome')), work, SHAPE);
  }, 10 * 60_000);
  afterAll(() => rm(home, { recursive: true, force: true }));

  checkpointContract(() => ({
    layout: layoutOf(home),
    driver: makeDriver(),
    makeDriver,
    request: { id: 'checkpointed', base: 'debian', shape: SHAPE },
    work,
  }));
});
