import path from 'node:path';
import { readIfThere } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import { processesWithEnvironment } from '../host/process.js';
import { isDomainActive } from './libvirt/domain.js';
import { domainIdentity } from './libvirt/identity.js';
import { libvirtFiles } from './libvirt/record.js';
import { virshAt } from './libvirt/virsh.js';
import { MACHINE_FOLDER } from './qemu/launch.js';
import { runsById } from './qemu/record.js';
import { machineFolder } from './record.js';

/**
 * Whether a machine takes memory of this host, whichever driver's it is. What runs is asked and not the machine's record, which a
 * half-made one has not yet, and which is behind while one is started again.
 */
export async function takesMemory(layout: Layout, id: string, signal: AbortSignal): Promise<boolean> {
  const folder = machineFolder(layout, id);
  // Asked before all processes are looked through; it also tells of one whose environment is not to be read.
  if (await runsById(layout, id)) return true;
  if ((await processesWithEnvironment(MACHINE_FOLDER, path.resolve(folder))).length > 0) return true;
  const uri = (await readIfThere(libvirtFiles(folder).uri))?.trim();
  if (uri === undefined) return false;
  // Where libvirt does not answer its domains may run all the same.
  return isDomainActive(virshAt(uri), domainIdentity(layout, id), signal).catch(() => true);
}
