import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import type { Firmware, MachineShape } from '../../src/domain/profile.js';
import { layoutOf } from '../../src/host/paths.js';
import { isAlive, processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import type { Connection, Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { launch, socketsFolder } from '../../src/machines/qemu/launch.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { machineFolder } from '../../src/machines/record.js';
import { type Context, machineContract } from './machine-contract.js';
import { hasOrSkip } from './requirements.js';

const GIB = 1024 ** 3;
const BASE = 'debian';

function shape(firmware: Firmware): MachineShape {
  return { memoryMiB: 1024, cpus: 1, diskBytes: [3 * GIB, 1 * GIB], firmware };
}

/** Partitions, copies the live system and makes it bootable: the least that boots from a disk alone. */
const INSTALL = `set -eu
disk=$1 target=$2
sgdisk --zap-all -n1:0:+2M -t1:ef02 -n2:0:+64M -t2:ef00 -n3:0:0 -t3:8300 "$disk" >/dev/null
udevadm settle
mkfs.vfat -F 32 "$disk"2 >/dev/null
mkfs.ext4 -q -F -L installed "$disk"3
mount "$disk"3 /mnt
tar -C / --one-file-system --exclude='./usr/lib/python3*' --exclude=./usr/lib/grub --exclude='./usr/lib/*/perl*' --exclude=./usr/share --exclude=./var/lib/dpkg --exclude='./root/*' -cf - . | tar -C /mnt -xf -
mkdir -p /mnt/boot/efi /mnt/root
mount "$disk"2 /mnt/boot/efi
rm -f /mnt/etc/ssh/ssh_host_*
echo yes >/mnt/etc/installed
echo "LABEL=installed / ext4 defaults 0 1" >/mnt/etc/fstab
: >/mnt/etc/machine-id
grub-install --target="$target" --boot-directory=/mnt/boot --efi-directory=/mnt/boot/efi --removable "$disk"
cat >/mnt/boot/grub/grub.cfg <<EOF
search --set=root --label installed
linux $(ls /boot/vmlinuz-*) root=LABEL=installed rw console=ttyS0,115200 mitigations=off
initrd $(ls /boot/initrd.img-*)
boot
EOF
umount -R /mnt`;

async function install(target: string, machine: Machine, connection: Connection, { signal }: Work): Promise<void> {
  const [disk = ''] = machine.disks;
  const argv = ['sh', '-c', INSTALL, 'sh', disk, target];
  const result = await connection.exec(argv, { signal, timeoutMs: 10 * 60_000 });
  if (result.exitCode !== 0) throw new Error(`the installation failed: ${result.stderr.slice(-2000)}`);
}

/** What only a machine with a process of its own can suffer. */
function accidents(context: () => Context): void {
  afterEach(async () => {
    const { driver, request, work } = context();
    await driver.destroy(request.id, work);
  });

  test('a machine whose making was killed half-way is made anew, and nothing of it stays', async () => {
    const { layout, driver, request, work } = context();
    const folder = machineFolder(layout, request.id);
    await mkdir(folder, { recursive: true });
    const idle = [
      '-machine',
      'none',
      '-nodefaults',
      '-display',
      'none',
      '-netdev',
      'user,id=net,hostfwd=tcp:127.0.0.1:0-:22',
    ];
    const args = [...idle, '-qmp', `unix:${socketsFolder(folder)}/qmp,server=on,wait=off`];
    const half = await launch('qemu-system-x86_64', args, { folder, id: request.id, signal: work.signal });
    await using machine = await driver.create(request, work);
    expect(await isAlive(half.identity)).toBe(false);
    expect(await processesWithEnvironment('NIXPROOF_MACHINE', request.id)).toHaveLength(1);
    expect(await machine.isRunning()).toBe(true);
  });

  test('a machine whose QEMU was killed is gone, and creating it starts over', async () => {
    const { driver, request, work } = context();
    await using first = await driver.create(request, work);
    for (const { pid } of await processesWithEnvironment('NIXPROOF_MACHINE', request.id)) process.kill(pid, 'SIGKILL');
    expect(await waitUntil(async () => !(await first.isRunning()), 10_000)).toBe(true);
    await expect(driver.attach(request.id, work)).rejects.toMatchObject({ code: 'MACHINE_GONE' });
    expect((await driver.list()).find(({ id }) => id === request.id)).toMatchObject({ state: 'stopped' });
    await using second = await driver.create(request, work);
    expect((await (await second.connect(work)).exec(['true'])).exitCode).toBe(0);
  });

  test('a disk that nothing was installed on never boots, and the console says why', async () => {
    const { layout, driver, request, work } = context();
    await using live = await driver.create(request, work);
    const impatient = createQemuDriver({ layout, bootDeadlineMs: 20_000 });
    await using machine = await impatient.attach(request.id, work);
    await expect(machine.restartInstalled(work)).rejects.toMatchObject({
      code: 'MACHINE_NEVER_BOOTED',
      details: { consoleLog: live.consoleLog, console: expect.any(Array) as unknown },
    });
  });

  test('a base that was not prepared is named, with the command that prepares it', async () => {
    const { request, work } = context();
    const elsewhere = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-no-base-')));
    await expect(createQemuDriver({ layout: elsewhere }).create(request, work)).rejects.toMatchObject({
      code: 'HOST_BASE_MISSING',
      hint: 'run `nixproof setup --base debian`',
    });
    await rm(elsewhere.home, { recursive: true });
  });
}

const driver = createQemuDriver({ layout: layoutOf(tmpdir()) });
const targets = { uefi: 'x86_64-efi', bios: 'i386-pc' } as const;

if (await hasOrSkip('qemu', driver)) {
  machineContract('qemu, uefi', {
    makeDriver: createQemuDriver,
    base: BASE,
    shape: shape('uefi'),
    prepare: async (layout, work) => {
      await prepareBase(BASE, layout, work, shape('uefi'));
    },
    more: accidents,
    install: (machine, connection, work) => install(targets.uefi, machine, connection, work),
  });

  // What differs under BIOS is how it boots.
  test('qemu, bios: a machine boots from the disk that was installed', { timeout: 20 * 60_000 }, async () => {
    const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-bios-')));
    const bios = createQemuDriver({ layout });
    const work: Work = { signal: new AbortController().signal, progress: () => undefined };
    const id = `bios-${process.pid}`;
    try {
      await prepareBase(BASE, layout, work, shape('bios'));
      await using machine = await bios.create({ id, base: BASE, shape: shape('bios') }, work);
      await install(targets.bios, machine, await machine.connect(work), work);
      await machine.restartInstalled(work);
      const connection = await machine.connect(work);
      expect((await connection.exec(['cat', '/etc/installed'])).stdout).toBe('yes\n');
      expect((await connection.exec(['test', '-d', '/sys/firmware/efi'])).exitCode).toBe(1);
    } finally {
      await bios.destroy(id, work);
      await rm(layout.home, { recursive: true, force: true });
    }
  });
} else {
  describe.skip('machine contract: qemu', () => test('needs QEMU', () => undefined));
}
