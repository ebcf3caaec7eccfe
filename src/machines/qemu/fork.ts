import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { Layout } from '../../host/paths.js';
import { runCommand } from '../../host/process.js';
import type { Work } from '../machine.js';
import { withGuestLock } from '../hypervisor/guest-io/guest-io.js';
import { machineFolder } from '../record.js';
import { takeSlotNow } from '../slots.js';
import { requireDisk, requireMemory } from '../../host/capacity.js';
import { escapeComma, SOCKETS } from './command-line.js';
import { killMachine, nameSockets, socketsFolder } from './launch.js';
import { keepGoing } from './guest-io.js';
import { connectQmp } from './qmp.js';
import { runs, type QemuRecord } from './record.js';
import { makeFolder } from '../../host/files.js';

/**
 * Copies a machine with all its checkpoints under another name: gives the record of one that does not run yet and is to be put
 * into one of them. Undefined where the host has no room for another machine.
 */
export async function copyMachine(
  layout: Layout,
  record: QemuRecord,
  id: string,
  work: Work,
): Promise<QemuRecord | undefined> {
  const { memoryMiB } = record.shape;
  const from = machineFolder(layout, record.id);
  const to = machineFolder(layout, id);
  await killMachine(to);
  await rm(to, { recursive: true, force: true });
  if (!(await hasRoom(layout, { id, memoryMiB }, from, work))) return undefined;
  await makeFolder(to);
  work.progress('copying the machine');
  await whileStill(record, from, work.signal, async () => {
    for (const name of await copied(from)) {
      const argv = ['--reflink=auto', '--sparse=always', path.join(from, name), path.join(to, name)];
      await runCommand('cp', argv, { signal: work.signal });
    }
  });
  const { definition, hostKey } = record.live;
  const args = definition.args.map((argument) => moved(argument, { from, to, oldId: record.id, id }));
  return {
    ...record,
    id,
    createdAt: new Date().toISOString(),
    stage: 'live',
    process: undefined,
    hostKey,
    live: { definition: { ...definition, args }, hostKey },
  };
}

async function hasRoom(
  layout: Layout,
  share: { readonly id: string; readonly memoryMiB: number },
  from: string,
  work: Work,
): Promise<boolean> {
  const { memoryMiB } = share;
  try {
    await requireMemory(memoryMiB);
    await requireDisk(layout.machines, (await bytesOf(from)) + memoryMiB * 1024 ** 2, 'a copy of the machine');
  } catch (error) {
    if (!(error instanceof NixproofError)) throw error;
    work.progress(`no copy of the machine: ${error.message}`);
    return false;
  }
  return takeSlotNow(layout, share, work);
}

/** Images, and what is known of the checkpoints in them; the console's log goes on in the copy. */
async function copied(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder);
  return names.filter((name) => name.endsWith('.qcow2') || name === 'checkpoints.json' || name === 'console.log');
}

async function bytesOf(folder: string): Promise<number> {
  const sizes = (await copied(folder)).map(async (name) => (await stat(path.join(folder, name))).blocks * 512);
  return (await Promise.all(sizes)).reduce((sum, bytes) => sum + bytes, 0);
}

/** A guest that is stopped writes nothing, and QEMU has written all that it held back of its images by then. */
async function whileStill(
  record: QemuRecord,
  folder: string,
  signal: AbortSignal,
  body: () => Promise<void>,
): Promise<void> {
  if (!(await runs(record))) return body();
  // Afterwards it runs: with its packet filter.
  await keepGoing(folder, signal);
  await withGuestLock(folder, signal, async () => {
    await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
    await qmp.execute('stop');
    try {
      await body();
    } finally {
      await qmp.execute('cont');
    }
  });
}

/** One of QEMU's arguments, for the copy: everything that names a file, a socket or the machine. */
function moved(
  argument: string,
  { from, to, oldId, id }: { readonly from: string; readonly to: string; readonly oldId: string; readonly id: string },
): string {
  if (argument === `nixproof-${oldId}`) return `nixproof-${id}`;
  return argument
    .replaceAll(`${escapeComma(from)}/`, `${escapeComma(to)}/`)
    .replaceAll(`${escapeComma(socketsFolder(from))}/`, `${escapeComma(nameSockets(to))}/`);
}
