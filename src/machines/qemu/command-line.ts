import type { Accelerator, Firmware } from '../../domain/profile.js';
import { filterArguments, GUEST_IO_SOCKETS } from '../hypervisor/guest-io/sockets.js';

/** What the guest can see of its hardware. Template and clone have the same to the letter. */
export interface Hardware {
  readonly accelerator: Accelerator;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly firmware: Firmware;
  /** In the order in which the guest numbers them: the first is /dev/vda. Paths of qcow2 images. */
  readonly disks: readonly string[];
  /** Path of a CD's image, read only. The firmware starts from it. */
  readonly cdrom?: string;
  /** One authorized_keys line that the guest's systemd gives to root. */
  readonly publicKey: string;
  /** A kernel started without boot loader; absent: the firmware boots the CD, or the first disk. */
  readonly direct?: { readonly kernel: string; readonly initrd: string; readonly commandLine: string };
}

/** Where the guest's memory lives. `frozen` is a template's: written by it, copied on write by its clones. */
export type Memory =
  { readonly kind: 'own' } | { readonly kind: 'frozen'; readonly file: string; readonly access: 'write' | 'copy' };

/** What the guest cannot see: files and sockets of this host. */
export interface Wiring {
  /** Shown in the process list: `nixproof-<id>`. */
  readonly name: string;
  readonly memory: Memory;
  /** UEFI only: the firmware's code, and the machine's own variables, qcow2. */
  readonly uefi?: { readonly code: string; readonly variables: string };
  /** Folder of the sockets: its path is short, for a socket's may have 107 bytes (unix(7)). */
  readonly sockets: string;
  /** Waits for a template's device state. */
  readonly incoming: boolean;
}

/** The names of the sockets in the sockets' folder. */
export const SOCKETS = { qmp: 'qmp', console: 'console', agent: 'agent' } as const;

/** How much of what it translated the emulator keeps; by itself it takes up to 1 GiB of the host's memory. */
export const TRANSLATIONS_MIB = 256;

/**
 * What an emulated processor is not to have. The emulator keeps what it translated of a page for each address at which a process has
 * it, and each write to that page, as when the kernel clears it for something else, looks through all of that: the byte-wise
 * instructions that kernels and C libraries prefer where the processor has them held a guest for minutes. Without them a write is
 * eight bytes or more, and with a smaller cache there is less to look through.
 */
export const SLOW_FEATURES = ['erms', 'fsrm'] as const;

/** The name by which QMP knows the network. */
export const NETWORK = 'net';

/**
 * QEMU's arguments for one machine, but for what `launch` adds. Pure; paths are absolute.
 * SMBIOS type 11 carries a systemd credential (systemd.system-credentials(7): ssh.authorized_keys.root).
 */
export function qemuArguments(hardware: Hardware, wiring: Wiring): string[] {
  const socket = (name: string) => escapeComma(`${wiring.sockets}/${name}`);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-msg', 'timestamp=on'],
    ...['-name', escapeComma(wiring.name)],
    ...machine(hardware, wiring.memory),
    ...(wiring.uefi ? pflash(wiring.uefi) : []),
    ...hardware.disks.flatMap(disk),
    ...(hardware.cdrom === undefined ? [] : cdrom(hardware.cdrom)),
    // Port 0: the kernel picks a free one, and `info usernet` tells which. Nobody can take it in between.
    ...['-netdev', `user,id=${NETWORK},hostfwd=tcp:127.0.0.1:0-:22`, '-device', `virtio-net-pci,netdev=${NETWORK}`],
    ...filterArguments(NETWORK, socket),
    ...['-device', 'virtio-rng-pci', '-device', 'vmgenid,guid=auto', '-device', 'VGA'],
    ...[
      '-chardev',
      `socket,id=serial,path=${socket(GUEST_IO_SOCKETS.serial)},server=on,wait=off`,
      '-device',
      'isa-serial,chardev=serial',
    ],
    ...['-device', 'virtio-serial-pci'],
    ...[
      '-chardev',
      `socket,id=console,path=${socket(SOCKETS.console)},server=on,wait=off`,
      '-device',
      'virtconsole,chardev=console',
    ],
    ...['-chardev', `socket,id=agent,path=${socket(SOCKETS.agent)},server=on,wait=off`],
    ...['-device', 'virtserialport,chardev=agent,name=org.qemu.guest_agent.0'],
    ...['-smbios', `type=11,value=${authorizedKey(hardware.publicKey)}`],
    ...(hardware.direct ? direct(hardware.direct, hardware.accelerator) : []),
    ...['-qmp', `unix:${socket(SOCKETS.qmp)},server=on,wait=off`],
    ...(wiring.incoming ? ['-incoming', 'defer'] : []),
  ];
}

function machine({ accelerator, cpus, memoryMiB }: Hardware, memory: Memory): string[] {
  const backend =
    memory.kind === 'own'
      ? `memory-backend-ram,id=mem,size=${memoryMiB}M`
      : `memory-backend-file,id=mem,size=${memoryMiB}M,mem-path=${escapeComma(memory.file)},share=${memory.access === 'write' ? 'on' : 'off'}`;
  return [
    ...['-machine', 'q35,memory-backend=mem', '-object', backend, '-m', `${memoryMiB}M`],
    ...processor(accelerator),
    ...['-smp', String(cpus)],
  ];
}

function processor(accelerator: Accelerator): string[] {
  const without = SLOW_FEATURES.map((feature) => `,-${feature}`).join('');
  return accelerator === 'tcg'
    ? ['-accel', `tcg,tb-size=${TRANSLATIONS_MIB}`, '-cpu', `max${without}`]
    : ['-accel', accelerator, '-cpu', 'host'];
}

/**
 * What the kernel of a base is told. Where programs lie at the same addresses in every process they are translated once, and not
 * for each process again: shell scripts run three times as fast.
 */
export function kernelCommandLine(accelerator: Accelerator, commandLine: string): string {
  return accelerator === 'tcg' ? `${commandLine} norandmaps` : commandLine;
}

function pflash({ code, variables }: NonNullable<Wiring['uefi']>): string[] {
  return [
    ...['-drive', `if=pflash,unit=0,format=raw,readonly=on,file=${escapeComma(code)}`],
    ...['-drive', `if=pflash,unit=1,format=qcow2,id=variables,file=${escapeComma(variables)}`],
  ];
}

function disk(file: string, index: number): string[] {
  const id = diskId(index);
  return [
    ...['-drive', `if=none,id=${id},format=qcow2,discard=unmap,file=${escapeComma(file)}`],
    ...['-device', `virtio-blk-pci,drive=${id},serial=nixproof-${id}`],
  ];
}

/** On the machine's own SATA controller, where every system's kernel looks. */
function cdrom(file: string): string[] {
  return [
    ...['-drive', `if=none,id=cdrom,media=cdrom,format=raw,readonly=on,file=${escapeComma(file)}`],
    ...['-device', 'ide-cd,drive=cdrom,bus=ide.0,bootindex=0'],
  ];
}

/** The name by which QMP knows a disk. */
export function diskId(index: number): string {
  return `disk${index}`;
}

function direct({ kernel, initrd, commandLine }: NonNullable<Hardware['direct']>, accelerator: Accelerator): string[] {
  return ['-kernel', kernel, '-initrd', initrd, '-append', kernelCommandLine(accelerator, commandLine)];
}

export function authorizedKey(publicKey: string): string {
  return `io.systemd.credential.binary:ssh.authorized_keys.root=${Buffer.from(`${publicKey}\n`).toString('base64')}`;
}

/** In QEMU's options a comma ends a value and two commas are one. */
export function escapeComma(value: string): string {
  return value.replaceAll(',', ',,');
}

/** Absolute path of a disk in the guest, by its number on the command line. */
export function guestDisk(index: number): string {
  return `/dev/vd${String.fromCharCode('a'.charCodeAt(0) + index)}`;
}
