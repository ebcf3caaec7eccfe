import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import type { MachineShape } from '../src/domain/profile.js';
import type { Work } from '../src/domain/work.js';
import { layoutOf } from '../src/host/paths.js';
import { createQemuDriver } from '../src/machines/qemu/driver.js';
import { describeInstallation, findInstallation } from '../src/machines/hypervisor/installation.js';
import { prepareBase } from '../src/machines/qemu/prepare.js';

/**
 * What a checkpoint costs by the size of the guest's memory: how long it stands still for the first and for a later one, how long
 * until it answers SSH after going back, and the space of one. A quarter of the memory is filled with what cannot be compressed.
 *
 *     npm run bench:checkpoints -- [MEMORY_MIB…]
 */

const given = process.argv.slice(2).map(Number);
const sizes = given.length > 0 ? given : [512, 1024, 2048, 4096];
const work: Work = { signal: new AbortController().signal, progress: (message) => console.error(message) };
const home = await mkdtemp(path.join(tmpdir(), 'nixproof-checkpoints-'));
const layout = layoutOf(home);
const driver = createQemuDriver({ layout });

async function measure(memoryMiB: number): Promise<string> {
  const shape: MachineShape = { memoryMiB, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
  const id = `memory-${memoryMiB}`;
  await prepareBase('debian', layout, work, shape);
  try {
    await using machine = await driver.create({ id, base: 'debian', shape }, work);
    const { checkpoints } = machine;
    if (!checkpoints) throw new Error('no checkpoints');
    const fill = `mount -o remount,size=90% /dev/shm && head -c ${memoryMiB / 4}M /dev/urandom >/dev/shm/filled`;
    await (await machine.connect(work)).exec(['sh', '-c', fill], { timeoutMs: 10 * 60_000 });
    const first = await checkpoints.take('first', work);
    const later = await checkpoints.take('later', work);
    const started = performance.now();
    await checkpoints.restore('first', work);
    const restoreMs = performance.now() - started;
    const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`.padStart(10);
    const mib = `${Math.round(first.bytes / 1024 ** 2)} MiB`.padStart(10);
    return `${String(memoryMiB).padStart(6)} MiB${seconds(first.tookMs)}${seconds(later.tookMs)}${seconds(restoreMs)}${mib}`;
  } finally {
    await driver.destroy(id, work);
  }
}

try {
  console.log(describeInstallation(await findInstallation(work.signal)));
  console.log(
    `${'memory'.padStart(10)}${'first'.padStart(10)}${'later'.padStart(10)}${'restore'.padStart(10)}${'space'.padStart(10)}`,
  );
  for (const size of sizes) console.log(`${await measure(size)}  load ${loadavg()[0]?.toFixed(1)}`);
} finally {
  await rm(home, { recursive: true, force: true });
}
