import { describe, expect, test } from 'vitest';
import {
  diskId,
  guestDisk,
  type Hardware,
  qemuArguments,
  type Wiring,
} from '../../../../src/machines/qemu/command-line.js';

const hardware: Hardware = {
  accelerator: 'tcg',
  cpus: 2,
  memoryMiB: 1024,
  firmware: 'uefi',
  disks: ['/t/system.qcow2', '/t/disk-1.qcow2'],
  publicKey: 'ssh-ed25519 AAAA nixproof',
  direct: { kernel: '/b/vmlinuz', initrd: '/b/initrd', commandLine: 'root=/dev/vda rw' },
};
const wiring: Wiring = {
  name: 'nixproof-template',
  memory: { kind: 'frozen', file: '/t/memory', access: 'write' },
  uefi: { code: '/fw/code.fd', variables: '/t/variables.qcow2' },
  sockets: '/tmp/s',
  incoming: false,
};

/** The value of an option, all of them where it is given more than once. */
const valuesOf = (args: readonly string[], option: string) =>
  args.flatMap((arg, index) => (args[index - 1] === option ? [arg] : []));

describe('QEMU’s command line', () => {
  test('of a template and its clone differ in what the guest cannot see, and nothing else', () => {
    const template = qemuArguments(hardware, wiring);
    const clone = qemuArguments(hardware, {
      ...wiring,
      memory: { kind: 'frozen', file: '/t/memory', access: 'copy' },
      incoming: true,
    });
    const expected = template.map((arg) => arg.replace('share=on', 'share=off'));
    expect(clone).toEqual([...expected, '-incoming', 'defer']);
  });

  test('gives the key to the guest’s systemd as a credential', () => {
    const [smbios = ''] = valuesOf(qemuArguments(hardware, wiring), '-smbios');
    const [, encoded = ''] =
      /^type=11,value=io\.systemd\.credential\.binary:ssh\.authorized_keys\.root=(.+)$/.exec(smbios) ?? [];
    expect(Buffer.from(encoded, 'base64').toString()).toBe('ssh-ed25519 AAAA nixproof\n');
  });

  test('opens nothing but a port of the loopback, and filters what the guest sends', () => {
    const args = qemuArguments(hardware, wiring);
    expect(valuesOf(args, '-netdev')).toEqual(['user,id=net,hostfwd=tcp:127.0.0.1:0-:22']);
    expect(valuesOf(args, '-object')).toContain(
      'filter-redirector,id=packet-filter,netdev=net,queue=rx,indev=packets-in,outdev=packets-out',
    );
    expect(args.filter((arg) => /^(tcp|telnet|vnc)/.test(arg))).toEqual([]);
  });

  test('boots the first disk through the firmware where there is no kernel', () => {
    const { accelerator, cpus, memoryMiB, firmware, disks, publicKey } = hardware;
    const args = qemuArguments(
      { accelerator, cpus, memoryMiB, firmware, disks, publicKey },
      { ...wiring, memory: { kind: 'own' } },
    );
    expect(args).not.toContain('-kernel');
    expect(args.join(' ')).toContain('memory-backend-ram');
  });

  test('starts from a CD that cannot be written to, where there is one', () => {
    const args = qemuArguments({ ...hardware, cdrom: '/b/live,1.iso' }, wiring);
    expect(valuesOf(args, '-drive')).toContain(
      'if=none,id=cdrom,media=cdrom,format=raw,readonly=on,file=/b/live,,1.iso',
    );
    expect(valuesOf(args, '-device')).toContain('ide-cd,drive=cdrom,bus=ide.0,bootindex=0');
    expect(qemuArguments(hardware, wiring).join(' ')).not.toContain('cdrom');
  });

  test.each([
    ['tcg', 'max,-erms,-fsrm'],
    ['kvm', 'host'],
    ['hvf', 'host'],
  ] as const)('on %s has the processor %s', (accelerator, cpu) => {
    expect(valuesOf(qemuArguments({ ...hardware, accelerator }, wiring), '-cpu')).toEqual([cpu]);
  });

  test.each([
    ['tcg', 'root=/dev/vda rw norandmaps'],
    ['kvm', 'root=/dev/vda rw'],
  ] as const)('on %s tells the base’s kernel "%s"', (accelerator, commandLine) => {
    expect(valuesOf(qemuArguments({ ...hardware, accelerator }, wiring), '-append')).toEqual([commandLine]);
  });

  test('keeps commas of paths', () => {
    const args = qemuArguments({ ...hardware, disks: ['/a,b/disk'] }, { ...wiring, sockets: '/a,b/sockets' });
    expect(args.some((arg) => arg.includes('file=/a,,b/disk'))).toBe(true);
    expect(args.some((arg) => arg.includes('path=/a,,b/sockets/serial'))).toBe(true);
  });

  test('has no firmware variables under BIOS', () => {
    const { name, memory, sockets, incoming } = wiring;
    const args = qemuArguments({ ...hardware, firmware: 'bios' }, { name, memory, sockets, incoming });
    expect(args.join(' ')).not.toContain('pflash');
  });

  test('numbers disks as the guest names them', () => {
    expect([0, 1, 2].map(guestDisk)).toEqual(['/dev/vda', '/dev/vdb', '/dev/vdc']);
    expect(diskId(1)).toBe('disk1');
  });
});
