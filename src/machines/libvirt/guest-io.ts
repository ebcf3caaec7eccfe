import { mkdir } from 'node:fs/promises';
import { NixproofError } from '../../domain/error.js';
import type { GuestNetwork } from '../../domain/profile.js';
import { endGuestIo, startGuestIo } from '../guest-io/guest-io.js';
import { FILTER, filterProperties } from '../guest-io/sockets.js';
import { nameSockets, socketsFolder } from '../qemu/launch.js';
import { askMonitor } from './domain.js';
import { USER_NETWORK } from './domain-xml.js';
import type { DomainIdentity } from './identity.js';
import type { Virsh } from './virsh.js';

/** Makes the folder in which a domain's QEMU serves its filter's sockets. To be called before it starts. */
export async function prepareSockets(folder: string): Promise<void> {
  await mkdir(nameSockets(folder), { recursive: true, mode: 0o700 });
}

/**
 * Connects the packet filter of a domain in user-mode networking, whose packets go nowhere until
 * then. libvirt may have replaced the domain's QEMU or not, so a filter that was connected before is
 * replaced as well; the guest stands still meanwhile.
 * @throws NixproofError `MACHINE_GUEST_IO`
 */
export async function connectFilter(
  virsh: Virsh,
  identity: DomainIdentity,
  machine: { readonly folder: string; readonly network: GuestNetwork },
  signal: AbortSignal,
): Promise<void> {
  const { folder, network } = machine;
  await virsh.run(['suspend', identity.uuid], { signal });
  await endGuestIo(folder);
  await askMonitor(virsh, identity, `object_del ${FILTER}`, signal);
  const properties = Object.entries(filterProperties(USER_NETWORK)).map(([name, value]) => `,${name}=${value}`);
  const options = `filter-redirector,id=${FILTER}${properties.join('')}`;
  const said = await askMonitor(virsh, identity, `object_add ${options}`, signal);
  if (said !== '') throw new NixproofError('MACHINE_GUEST_IO', `QEMU refused the packet filter: ${said}`);
  await startGuestIo(folder, { sockets: socketsFolder(folder), network }, { NIXPROOF_MACHINE: identity.id }, signal);
  await virsh.run(['resume', identity.uuid], { signal });
}
