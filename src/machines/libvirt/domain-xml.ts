import type { BaseBoot } from '../../bases/base.js';
import type { Accelerator, MachineShape } from '../../domain/profile.js';
import { element, type XmlElement } from '../../domain/xml.js';
import {
  SLOW_FEATURES,
  TRANSLATIONS_MIB,
  escapeComma,
  authorizedKey,
  diskId,
  guestDisk,
  kernelCommandLine,
} from '../qemu/command-line.js';
import { filterArguments } from '../hypervisor/guest-io/sockets.js';
import type { DomainIdentity } from './identity.js';
import { textElement, xmlText } from './xml.js';

/** Everything that is said of a domain. Paths are absolute. */
export interface DomainDefinition {
  readonly identity: DomainIdentity;
  readonly accelerator: Accelerator;
  readonly shape: MachineShape;
  /** In the order in which the guest numbers them. Paths of qcow2 images. */
  readonly disks: readonly string[];
  /** Path of a CD's image. The firmware starts from it. */
  readonly cdrom?: string;
  /** A kernel started without boot loader; absent: the firmware boots the CD, or the first disk. */
  readonly direct?: Extract<BaseBoot, { readonly kind: 'direct' }>;
  /** UEFI only: the firmware's code, and the machine's own variables, qcow2. */
  readonly uefi?: { readonly code: string; readonly variables: string };
  /** One authorized_keys line that the guest's systemd gives to root. */
  readonly publicKey: string;
  readonly consoleLog: string;
  /** Folder in which QEMU serves the sockets of its packet filter. */
  readonly sockets: string;
  /** As libvirt's capabilities name them: `dac`, `apparmor`, `selinux`. */
  readonly securityModels: readonly string[];
  /** Who runs QEMU, where libvirt may choose: the owner of the machine's files. */
  readonly owner: { readonly uid: number; readonly gid: number };
}

/** The namespace of our mark on a domain (formatdomain: "General metadata"). */
export const METADATA_URI = 'urn:nixproof:machine:1';
/** Where libvirt gives the first network card of a domain its user-mode network: QEMU's name for it. */
export const USER_NETWORK = 'hostnet0';
const QEMU_URI = 'http://libvirt.org/schemas/domain/qemu/1.0';

/**
 * The XML of a domain (https://libvirt.org/formatdomain.html). Pure.
 * The firmware is given to QEMU past libvirt: libvirt takes variables as qcow2 since 9.2 only, and refuses checkpoints of a machine
 * whose variables are not.
 */
export function domainXml(definition: DomainDefinition): string {
  const { identity, accelerator, shape } = definition;
  const emulated = accelerator === 'tcg';
  return xmlText(
    element('domain', { type: emulated ? 'qemu' : accelerator, 'xmlns:qemu': QEMU_URI }, [
      textElement('name', identity.name),
      textElement('uuid', identity.uuid),
      element('metadata', {}, [
        element('nixproof:machine', { 'xmlns:nixproof': METADATA_URI, home: identity.home, id: identity.id }),
      ]),
      element('memory', { unit: 'MiB' }, String(shape.memoryMiB)),
      textElement('vcpu', shape.cpus),
      ...boot(definition),
      element('features', {}, [element('acpi'), element('apic'), ...(emulated ? [emulator()] : [])]),
      emulated ? emulatedProcessor() : element('cpu', { mode: 'host-passthrough' }),
      element('clock', { offset: 'utc' }),
      textElement('on_poweroff', 'destroy'),
      textElement('on_reboot', 'restart'),
      textElement('on_crash', 'destroy'),
      element('devices', {}, devices(definition)),
      ...definition.securityModels.flatMap((model) => securityLabel(model, definition.owner)),
      element('qemu:commandline', {}, commandLine(definition)),
    ]),
  );
}

function emulator(): XmlElement {
  return element('tcg', {}, [element('tb-cache', { unit: 'MiB' }, String(TRANSLATIONS_MIB))]);
}

function emulatedProcessor(): XmlElement {
  const without = SLOW_FEATURES.map((name) => element('feature', { policy: 'disable', name }));
  return element('cpu', { mode: 'maximum' }, without);
}

function boot({ direct, cdrom, publicKey, accelerator }: DomainDefinition): XmlElement[] {
  return [
    element('os', {}, [
      element('type', { arch: 'x86_64', machine: 'q35' }, 'hvm'),
      ...(direct
        ? [
            textElement('kernel', direct.kernel),
            textElement('initrd', direct.initrd),
            textElement('cmdline', kernelCommandLine(accelerator, direct.commandLine)),
          ]
        : []),
      element('boot', { dev: cdrom === undefined ? 'hd' : 'cdrom' }),
      element('smbios', { mode: 'sysinfo' }),
    ]),
    element('sysinfo', { type: 'smbios' }, [
      element('oemStrings', {}, [textElement('entry', authorizedKey(publicKey))]),
    ]),
  ];
}

function devices({ disks, cdrom, identity, shape, consoleLog }: DomainDefinition): XmlElement[] {
  return [
    ...disks.map(disk),
    ...(cdrom === undefined ? [] : [compactDisc(cdrom)]),
    element('controller', { type: 'usb', model: 'none' }),
    networkCard(identity.mac, shape.libvirtNetwork),
    element('serial', { type: 'pty' }, [
      element('log', { file: consoleLog, append: 'on' }),
      element('target', { port: 0 }),
    ]),
    element('channel', { type: 'unix' }, [element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })]),
    element('video', {}, [element('model', { type: 'vga' })]),
    element('memballoon', { model: 'none' }),
    element('rng', { model: 'virtio' }, [element('backend', { model: 'random' }, '/dev/urandom')]),
  ];
}

function disk(file: string, index: number): XmlElement {
  return element('disk', { type: 'file', device: 'disk' }, [
    element('driver', { name: 'qemu', type: 'qcow2', discard: 'unmap' }),
    element('source', { file }),
    element('target', { dev: guestDisk(index).slice('/dev/'.length), bus: 'virtio' }),
    textElement('serial', `nixproof-${diskId(index)}`),
  ]);
}

/** On a SATA controller, where every system's kernel looks. */
function compactDisc(file: string): XmlElement {
  return element('disk', { type: 'file', device: 'cdrom' }, [
    element('driver', { name: 'qemu', type: 'raw' }),
    element('source', { file }),
    element('target', { dev: 'sda', bus: 'sata' }),
    element('readonly'),
  ]);
}

function networkCard(mac: string, network: string | undefined): XmlElement {
  return element('interface', { type: network === undefined ? 'user' : 'network' }, [
    element('mac', { address: mac }),
    ...(network === undefined ? [] : [element('source', { network })]),
    element('model', { type: 'virtio' }),
  ]);
}

/**
 * QEMU runs as the owner of the machine's files, wherever they are and with the modes they have; libvirt changes nothing of theirs.
 * What else confines it knows only the files of the domain's XML, so it is told to leave this one alone.
 */
function securityLabel(model: string, { uid, gid }: DomainDefinition['owner']): XmlElement[] {
  if (model === 'none') return [];
  if (model !== 'dac') return [element('seclabel', { type: 'none', model })];
  return [element('seclabel', { type: 'static', model, relabel: 'no' }, [textElement('label', `+${uid}:+${gid}`)])];
}

function commandLine({ identity, uefi, shape, sockets }: DomainDefinition): XmlElement[] {
  const drives = uefi
    ? [
        `if=pflash,unit=0,format=raw,readonly=on,file=${escapeComma(uefi.code)}`,
        `if=pflash,unit=1,format=qcow2,id=variables,file=${escapeComma(uefi.variables)}`,
      ]
    : [];
  const filter =
    shape.libvirtNetwork === undefined
      ? filterArguments(USER_NETWORK, (name) => escapeComma(`${sockets}/${name}`))
      : [];
  return [
    ...[...drives.flatMap((drive) => ['-drive', drive]), ...filter].map((value) => element('qemu:arg', { value })),
    // The mark that processes of the qemu driver's machines carry as well.
    element('qemu:env', { name: 'NIXPROOF_MACHINE', value: identity.id }),
  ];
}
