import { passFence } from '../../host/fence.js';
import { readIfThere } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { removeTree } from '../../host/tree/remove.js';
import { endGuestIo } from '../hypervisor/guest-io/guest-io.js';
import { removeSockets } from '../qemu/launch.js';
import { machineFolder } from '../record.js';
import { freeSlot } from '../slots.js';
import { removeDomain } from './domain.js';
import { domainIdentity } from './identity.js';
import { libvirtFiles } from './record.js';
import { virshAt } from './virsh.js';

/** Removes a machine with its domain, half-made ones too. A machine that was none of libvirt's costs libvirt no question. */
export async function removeMachine(layout: Layout, id: string): Promise<void> {
  const folder = machineFolder(layout, id);
  const uri = (await readIfThere(libvirtFiles(folder).uri))?.trim();
  if (uri !== undefined) await removeDomain(virshAt(uri), domainIdentity(layout, id));
  await passFence();
  await endGuestIo(folder);
  await removeSockets(folder);
  await removeTree(folder);
  await freeSlot(layout, id);
}
