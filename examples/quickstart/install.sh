#!/bin/sh
# Installs a tiny system onto the disk image $NIXPROOF_DISK: partition table, file systems, files.
cd "$(dirname "$0")"
. ./layout.sh
. nixproof.sh
command -v mkfs.ext4 >/dev/null || { np_error 'mkfs.ext4 is not installed (Debian: e2fsprogs)'; exit 1; }

nixproof-phase DISK_PARTITIONING
np_context "the disk is $(($(stat -c %s "$disk") / 1048576)) MiB"
# sfdisk, where the host has it; else the same four bytes of geometry by hand: an MBR is that simple.
if command -v sfdisk >/dev/null; then
  printf 'label: dos\n%s,%s,83,*\n%s,%s,83\n' $boot_start $boot_sectors $root_start $root_sectors | sfdisk --quiet "$disk"
else
  le32() { for shift in 0 8 16 24; do printf '%b' "\\0$(printf %o $((($1 >> shift) & 255)))"; done; }
  entry() { printf '%b\0\0\0\203\0\0\0' "$1"; le32 "$2"; le32 "$3"; }
  { entry '\0200' $boot_start $boot_sectors; entry '\0000' $root_start $root_sectors; } | dd of="$disk" bs=1 seek=446 conv=notrunc status=none
  printf '\125\252' | dd of="$disk" bs=1 seek=510 conv=notrunc status=none
fi
np_success 'partition table written'

nixproof-phase SYSTEM_BUILD
system=$(mktemp -d)
trap 'rm -rf "$system"' EXIT
mkdir -p "$system/etc" "$system/usr/share/data" "$system/var/log"
echo "$NIXPROOF_PROFILE" >"$system/etc/hostname"
for i in $(seq 20); do
  dd if=/dev/urandom of="$system/usr/share/data/$i" bs=64k count=32 status=none
  np_progress build "$i/20"
done
(cd "$system" && find usr -type f -exec sha256sum {} + >etc/sums)
np_metric system_mib $(($(du -s "$system" | cut -f1) / 1024))

nixproof-phase FILESYSTEMS
mkfs.ext2 -q -F -L boot -E offset=$((boot_start * 512)) "$disk" $((boot_sectors / 2))k
mkfs.ext4 -q -F -L root -d "$system" -E offset=$((root_start * 512)) "$disk" $((root_sectors / 2))k
np_success 'file systems made and filled'
