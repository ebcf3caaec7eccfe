import type { Connection, Machine, Work } from '../../src/machines/machine.js';

/** What grub-install calls a firmware. */
export const GRUB_TARGETS = { uefi: 'x86_64-efi', bios: 'i386-pc' } as const;

/**
 * Partitions the disk $1, copies the live system and makes it bootable with GRUB for the target $2:
 * the least that boots from a disk alone.
 */
export const INSTALL = `set -eu
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

/** Makes the machine's first target disk bootable. */
export async function installLiveSystem(
  target: string,
  machine: Machine,
  connection: Connection,
  { signal }: Work,
): Promise<void> {
  const [disk = ''] = machine.disks;
  const argv = ['sh', '-c', INSTALL, 'sh', disk, target];
  const result = await connection.exec(argv, { signal, timeoutMs: 10 * 60_000 });
  if (result.exitCode !== 0) throw new Error(`the installation failed: ${result.stderr.slice(-2000)}`);
}
