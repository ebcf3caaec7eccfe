import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { GuestNetwork } from '../../domain/profile.js';
import { endGuestIo, hasGuestIo, startGuestIo, withGuestLock } from '../hypervisor/guest-io/guest-io.js';
import { FILTER, filterOption } from '../hypervisor/guest-io/sockets.js';
import { nameSockets, socketsFolder } from '../qemu/launch.js';
import { askMonitor, isDomainActive } from './domain.js';
import { USER_NETWORK } from './domain-xml.js';
import type { DomainIdentity } from './identity.js';
import type { Virsh } from './virsh.js';

/** Where a domain in user-mode networking is, and what it may reach. */
export interface Filtered {
  readonly folder: string;
  readonly network: GuestNetwork;
}

/** There while the domain is suspended by us. */
const suspendedFile = (folder: string) => path.join(folder, 'suspended');

/** Makes the folder of a domain's sockets, in which its QEMU serves the filter. Called before it starts. */
export async function prepareSockets(folder: string): Promise<void> {
  const sockets = nameSockets(folder);
  await mkdir(sockets, { recursive: true, mode: 0o700 });
  // Another user may have made it in between.
  nameSockets(folder);
}

/**
 * Connects the packet filter of a domain in user-mode networking, whose packets go nowhere until
 * then. libvirt may have replaced the domain's QEMU or not, so a filter that was connected before is
 * replaced as well, while the guest is suspended.
 * @throws NixproofError `MACHINE_GUEST_IO`; the guest stays suspended where it has no filter
 */
export async function connectFilter(
  virsh: Virsh,
  identity: DomainIdentity,
  machine: Filtered,
  signal: AbortSignal,
): Promise<void> {
  await withGuestLock(machine.folder, signal, () => replaceFilter(virsh, identity, machine, signal));
}

/**
 * Connects it again if its process has ended, or if a process that suspended the guest was killed.
 * libvirt is asked only then. Does nothing where the domain does not run.
 */
export async function keepFilter(
  virsh: Virsh,
  identity: DomainIdentity,
  machine: Filtered,
  signal: AbortSignal,
): Promise<void> {
  const isWell = async () => (await hasGuestIo(machine.folder)) && !existsSync(suspendedFile(machine.folder));
  if ((await isWell()) || !(await isDomainActive(virsh, identity, signal))) return;
  await withGuestLock(machine.folder, signal, async () => {
    if (!(await isWell())) await replaceFilter(virsh, identity, machine, signal);
  });
}

async function replaceFilter(
  virsh: Virsh,
  identity: DomainIdentity,
  { folder, network }: Filtered,
  signal: AbortSignal,
): Promise<void> {
  const { uuid, id } = identity;
  let isFiltered = false;
  await writeFile(suspendedFile(folder), '');
  try {
    await virsh.run(['suspend', uuid], { signal });
    await endGuestIo(folder);
    await askMonitor(virsh, identity, `object_del ${FILTER}`, signal);
    const said = await askMonitor(virsh, identity, `object_add ${filterOption(USER_NETWORK)}`, signal);
    if (said !== '') throw new NixproofError('MACHINE_GUEST_IO', `QEMU refused the packet filter: ${said}`);
    isFiltered = true;
    await startGuestIo(folder, { sockets: socketsFolder(folder), network }, { NIXPROOF_MACHINE: id }, signal);
  } finally {
    // Also when this was cancelled: a filter without its process lets nothing pass.
    if (isFiltered) {
      await virsh.run(['resume', uuid]);
      await rm(suspendedFile(folder), { force: true });
    }
  }
}
