import type { BaseImage } from '../../bases/base.js';
import type { MachineShape } from '../../domain/profile.js';
import { NixproofError } from '../../domain/error.js';
import type { Layout } from '../../host/paths.js';
import { benchKey } from '../login.js';
import { nameSockets } from '../qemu/launch.js';
import { machineFolder } from '../record.js';
import { domainXml, type DomainDefinition } from './domain-xml.js';
import { domainIdentity } from './identity.js';
import type { Libvirt } from './libvirt.js';
import { libvirtFiles } from './record.js';

/** A machine, as far as its hardware goes. */
interface Described {
  readonly id: string;
  readonly shape: MachineShape;
}

/** The domain of a pristine machine: the base's live system with the target disks beside it. */
export async function liveDomain(
  layout: Layout,
  machine: Described,
  base: BaseImage,
  libvirt: Libvirt,
): Promise<string> {
  const { system } = libvirtFiles(machineFolder(layout, machine.id));
  const common = await commonDefinition(layout, machine, libvirt);
  return domainXml({
    ...common,
    disks: [...(base.disk ? [system] : []), ...common.disks],
    ...(base.iso === undefined ? {} : { cdrom: base.iso }),
    ...(base.boot.kind === 'direct' ? { direct: base.boot } : {}),
  });
}

/** The domain of an installed machine: its target disks and nothing else. */
export async function installedDomain(layout: Layout, machine: Described, libvirt: Libvirt): Promise<string> {
  return domainXml(await commonDefinition(layout, machine, libvirt));
}

async function commonDefinition(layout: Layout, { id, shape }: Described, libvirt: Libvirt): Promise<DomainDefinition> {
  const files = libvirtFiles(machineFolder(layout, id));
  const { accelerator } = libvirt.installation;
  return {
    identity: domainIdentity(layout, id),
    accelerator,
    shape,
    disks: shape.diskBytes.map((_, index) => files.target(index)),
    ...(shape.firmware === 'uefi' ? { uefi: { code: uefiOf(libvirt).code, variables: files.variables } } : {}),
    publicKey: (await benchKey(layout)).publicKey,
    consoleLog: files.console,
    sockets: nameSockets(files.folder),
    securityModels: libvirt.securityModels,
    owner: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
  };
}

/** @throws NixproofError `HOST_FIRMWARE_MISSING` */
export function uefiOf({ installation }: Libvirt): NonNullable<Libvirt['installation']['uefi']> {
  if (installation.uefi) return installation.uefi;
  throw new NixproofError('HOST_FIRMWARE_MISSING', 'the profile wants UEFI, and no OVMF firmware was found', {
    hint: 'install it: `apt-get install ovmf`, `dnf install edk2-ovmf`; or set `machine.firmware: bios`',
  });
}
