import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import type { BaseImage } from '../src/bases/base.js';
import { runCommand } from '../src/host/process.js';

/** The same guest under libvirt, for comparison: define, start, snapshot, revert through virsh. */
export interface LibvirtGuest extends AsyncDisposable {
  readonly port: number;
  start(): Promise<void>;
  snapshot(): Promise<void>;
  revert(): Promise<void>;
}

/** The session daemon starts itself and needs no root. */
const virsh = (...args: string[]) => runCommand('virsh', ['-q', '-c', 'qemu:///session', ...args]);
const NAME = 'nixproof-bench';

export async function libvirtGuest(
  folder: string,
  base: BaseImage,
  shape: {
    readonly memoryMiB: number;
    readonly cpus: number;
    readonly publicKey: string;
    readonly type: 'kvm' | 'qemu';
  },
): Promise<LibvirtGuest> {
  const disk = path.join(folder, 'libvirt.qcow2');
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base.disk?.path ?? '', disk]);
  const port = await freePort();
  const definition = path.join(folder, 'domain.xml');
  await writeFile(
    definition,
    domainXml({ ...shape, base, disk, port, console: path.join(folder, 'libvirt-console.log') }),
  );
  await virsh('define', definition);
  return {
    port,
    async start() {
      await virsh('start', NAME);
    },
    async snapshot() {
      await virsh('snapshot-create-as', NAME, 'ready');
    },
    async revert() {
      await virsh('snapshot-revert', NAME, 'ready', '--running');
    },
    async [Symbol.asyncDispose]() {
      await virsh('destroy', NAME).catch(() => undefined);
      await virsh('undefine', NAME, '--snapshots-metadata').catch(() => undefined);
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address ? address.port : 0;
}

interface Domain {
  readonly type: string;
  readonly memoryMiB: number;
  readonly cpus: number;
  readonly publicKey: string;
  readonly base: BaseImage;
  readonly disk: string;
  readonly port: number;
  readonly console: string;
}

function domainXml({ type, memoryMiB, cpus, publicKey, base, disk, port, console }: Domain): string {
  const key = Buffer.from(`${publicKey}\n`).toString('base64');
  const extra = [
    '-netdev',
    `user,id=bench,hostfwd=tcp:127.0.0.1:${port}-:22`,
    '-device',
    'virtio-net-pci,netdev=bench,bus=pcie.0,addr=0x10',
  ];
  return `<domain type='${type}' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>${NAME}</name>
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>${cpus}</vcpu>
  <sysinfo type='smbios'><oemStrings><entry>io.systemd.credential.binary:ssh.authorized_keys.root=${key}</entry></oemStrings></sysinfo>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    ${base.boot.kind === 'direct' ? `<kernel>${base.boot.kernel}</kernel><initrd>${base.boot.initrd}</initrd><cmdline>${base.boot.commandLine}</cmdline>` : ''}
    <smbios mode='sysinfo'/>
  </os>
  <features><acpi/></features>
  <cpu mode='${type === 'kvm' ? 'host-passthrough' : 'maximum'}'/>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <serial type='file'><source path='${console}'/></serial>
  </devices>
  ${ownSecurityLabel()}
  <qemu:commandline>${extra.map((value) => `<qemu:arg value='${value}'/>`).join('')}</qemu:commandline>
</domain>
`;
}

/** Root's libvirtd is the system's, whose QEMU runs as another user, who may not read the bench's folder: here it runs as root. */
function ownSecurityLabel(): string {
  if (process.getuid?.() !== 0) return '';
  return "<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>";
}
