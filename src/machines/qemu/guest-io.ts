import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { hasGuestIo, restartGuestIo, withGuestLock } from '../hypervisor/guest-io/guest-io.js';
import { FILTER, filterProperties } from '../hypervisor/guest-io/sockets.js';
import { NETWORK, SOCKETS } from './command-line.js';
import { socketsFolder } from './launch.js';
import { connectQmp, type Qmp } from './qmp.js';

/** A guest that still finds no room stops again at its next write, which comes at once. */
const AGAIN_MS = 1000;

/**
 * Repairs a machine whose QEMU runs: its packet filter has ended; or its guest is stopped, because
 * this host's disk had no room for what the guest wrote to its own (qemu-system(1): werror=enospc),
 * or because a process that stopped it was killed. Nothing of the guest is lost: its time stops too.
 * @throws NixproofError `MACHINE_GUEST_IO`
 * @throws Error `ENOSPC` while there is no room yet
 */
export async function keepGoing(folder: string, signal: AbortSignal): Promise<void> {
  // QEMU talks to one at a time, so the conversation is over before the lock is waited for.
  if (await isWell(folder)) return;
  await withGuestLock(folder, signal, async () => {
    if (!(await isWell(folder))) await repair(folder, signal);
  });
}

/** Whether there is nothing to repair. */
async function isWell(folder: string): Promise<boolean> {
  await using qmp = await conversation(folder);
  if (!qmp) return true;
  const status = await statusOf(qmp);
  return status !== 'paused' && status !== 'io-error' && (await hasGuestIo(folder));
}

/** Undefined where no QEMU runs. */
function conversation(folder: string): Promise<Qmp | undefined> {
  return connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp)).catch(() => undefined);
}

/** The filter first: without it the guest would reach everything. */
async function repair(folder: string, signal: AbortSignal): Promise<void> {
  await using qmp = await conversation(folder);
  if (!qmp) return;
  if (!(await hasGuestIo(folder))) await replaceFilter(qmp, folder, signal);
  const status = await statusOf(qmp);
  if (status !== 'paused' && status !== 'io-error') return;
  await qmp.execute('cont');
  if (status === 'paused') return;
  await delay(AGAIN_MS);
  if ((await statusOf(qmp)) !== 'io-error') return;
  const message = 'ENOSPC: the machine is stopped, for its disk finds no room on this host';
  throw Object.assign(new Error(message), { code: 'ENOSPC' });
}

/**
 * QEMU's filter takes no packets from a second process (net/filter-mirror.c: its handlers go with the
 * connection), so it is replaced while the guest is stopped.
 */
async function replaceFilter(qmp: Qmp, folder: string, signal: AbortSignal): Promise<void> {
  await qmp.execute('stop');
  // An earlier try may have been cut off between the two.
  await qmp.execute('object-del', { id: FILTER }).catch(() => undefined);
  await qmp.execute('object-add', { 'qom-type': 'filter-redirector', id: FILTER, ...filterProperties(NETWORK) });
  await restartGuestIo(folder, signal);
}

async function statusOf(qmp: Qmp): Promise<string> {
  return ((await qmp.execute('query-status')) as { readonly status: string }).status;
}
