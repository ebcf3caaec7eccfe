import type { Evidence, Heal } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { blockDevices, fileSystems, memoryOf, withDescendants, type FileSystem } from '../parse-probes.js';
import { anywhere, FREE_KIB, onMachine, planOf } from './shell.js';
import { isSandbox, usesNix } from './subjects.js';

const MIB = 1024;
/** What is made small on purpose, or cannot be written at all, is not full. */
const NEVER_FULL: ReadonlySet<string> = new Set(['squashfs', 'iso9660', 'devtmpfs', 'efivarfs', 'erofs', 'udf']);
const PLAIN_PATH = /^\/(?:[\w./-]+)?$/;

function isFull({ type, sizeKiB, freeKiB, inodesUsed, mountpoint }: FileSystem): boolean {
  if (NEVER_FULL.has(type) || sizeKiB === 0 || !PLAIN_PATH.test(mountpoint)) return false;
  const free = freeKiB / sizeKiB;
  return free < 0.05 || (free < 0.2 && freeKiB < 16 * MIB) || inodesUsed > 0.97;
}

/** The fullest first. */
const fullOnes = (evidence: Evidence) =>
  fileSystems(evidence.probes)
    .filter(isFull)
    .sort((a, b) => a.freeKiB / a.sizeKiB - b.freeKiB / b.sizeKiB);

/** The file system that holds a path: the one mounted nearest above it. */
function holderOf(evidence: Evidence, path: string): FileSystem | undefined {
  return fileSystems(evidence.probes)
    .filter(({ mountpoint }) => path === mountpoint || path.startsWith(mountpoint === '/' ? '/' : `${mountpoint}/`))
    .sort((a, b) => b.mountpoint.length - a.mountpoint.length)[0];
}

/** Whether the file system that holds one of the paths is full; a sandbox has one for everything. */
function isFullAt(evidence: Evidence, ...paths: readonly string[]): boolean {
  if (isSandbox(evidence)) return true;
  return paths.some((path) => {
    const holder = holderOf(evidence, path);
    return holder !== undefined && isFull(holder);
  });
}

/** Runs shell text that frees space, and fails where it freed none. */
function freeing(path: string, ...script: readonly string[]): readonly string[] {
  return [
    FREE_KIB,
    'used_inodes() { df -Pi "$1" | { read -r _; read -r _ _ used _; echo "$used"; }; }',
    `before=$(free "$root"${path})`,
    `inodes=$(used_inodes "$root"${path})`,
    ...script,
    'sync',
    `[ "$(free "$root"${path})" -gt "$before" ] || [ "$(used_inodes "$root"${path})" -lt "$inodes" ] || die 'nothing was freed'`,
  ];
}

export const SPACE: readonly Heal[] = [
  {
    name: 'grow-the-tmpfs',
    for: ['disk.full'],
    scope: 'system',
    title: 'Let the file system in memory that is full grow',
    confidence: 0.82,
    plan(evidence) {
      const full = fullOnes(evidence).find(({ type }) => type === 'tmpfs');
      if (full === undefined) return undefined;
      const { availableKiB, swapFreeKiB } = memoryOf(evidence.probes);
      const more = Math.floor((availableKiB + swapFreeKiB) * 0.7);
      if (more < 96 * MIB) return undefined;
      const point = quote([full.mountpoint]);
      const inodes = full.inodesUsed > 0.97 ? ',nr_inodes=4194304' : '';
      return planOf({
        commands: [onMachine('grow-the-tmpfs', `mount -o remount,size=${full.sizeKiB + more}k${inodes} ${point}`)],
        // It cannot be smaller than what is in it.
        undo: [onMachine('grow-the-tmpfs', `mount -o remount,size=${full.sizeKiB}k ${point} 2>/dev/null || true`)],
      });
    },
  },
  {
    name: 'temporary-files-on-the-target',
    for: ['disk.full'],
    scope: 'system',
    title: 'Put temporary files on the target’s file system, which has room',
    confidence: 0.62,
    plan(evidence) {
      if (!isFullAt(evidence, '/tmp', '/var/tmp')) return undefined;
      const devices = blockDevices(evidence.probes);
      const mounted = evidence.machine.disks.flatMap((disk) =>
        withDescendants(devices, disk).flatMap(({ mountpoints }) => mountpoints),
      );
      const [roomy] = fileSystems(evidence.probes)
        .filter(
          ({ mountpoint, freeKiB }) =>
            mounted.includes(mountpoint) && PLAIN_PATH.test(mountpoint) && freeKiB > 1024 * MIB,
        )
        .sort((a, b) => b.freeKiB - a.freeKiB);
      if (roomy === undefined) return undefined;
      const folder = quote([`${roomy.mountpoint}/.nixproof-tmp`]);
      return planOf({
        commands: [
          onMachine(
            'temporary-files-on-the-target',
            `if grep -q ' /tmp [a-z0-9]* .*nixproof' /proc/mounts || [ -e /tmp/.nixproof-tmp ]; then exit 0; fi`,
            `mkdir -p ${folder}`,
            `chmod 1777 ${folder}`,
            `touch ${folder}/.nixproof-tmp`,
            // What is open in the old folder stays open.
            `mount --bind ${folder} /tmp`,
          ),
        ],
        undo: [
          onMachine(
            'temporary-files-on-the-target',
            '[ -e /tmp/.nixproof-tmp ] || exit 0',
            'umount /tmp || umount -l /tmp',
            `rm -rf ${folder}`,
          ),
        ],
      });
    },
  },
  {
    name: 'remove-temporary-files',
    for: ['disk.full'],
    scope: 'files',
    title: 'Remove package caches, and temporary files older than the installer',
    confidence: 0.65,
    plan(evidence) {
      if (!isFullAt(evidence, '/tmp', '/var/tmp', '/var/cache', '/root')) return undefined;
      const folders = ['/tmp', '/var/tmp', '/var/cache'].filter((folder) => isFullAt(evidence, folder));
      return planOf({
        commands: [
          anywhere(
            'remove-temporary-files',
            ...freeing(
              folders[0] ?? '/tmp',
              'rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/cache/apt/*.bin "$root"/var/cache/dnf/* "$root"/var/cache/pacman/pkg/* "${HOME:-/root}"/.cache/nix',
              'first=$root/var/lib/nixproof/attempt-1/started',
              'if [ -e "$first" ]; then',
              '  for folder in "$root/tmp" "$root/var/tmp"; do',
              `    [ ! -d "$folder" ] || find "$folder" -xdev -name 'systemd-private-*' -prune -o -type f ! -newer "$first" -exec rm -f {} + 2>/dev/null || true`,
              '  done',
              'fi',
            ),
          ),
        ],
        destroys: 'package caches and temporary files older than the installer',
      });
    },
  },
  {
    name: 'rotate-logs',
    for: ['disk.full'],
    scope: 'files',
    title: 'Remove rotated logs, shrink the journal and cut long logs down to their ends',
    confidence: 0.6,
    plan(evidence) {
      if (!isFullAt(evidence, '/var/log', '/run/log')) return undefined;
      return planOf({
        commands: [
          anywhere(
            'rotate-logs',
            ...freeing(
              '/var/log',
              '[ -n "$root" ] || ! have journalctl || journalctl --rotate --vacuum-size=8M >/dev/null 2>&1 || true',
              // The journal's own files are its business.
              String.raw`find "$root/var/log" -xdev -type f ! -path '*/journal/*' \( -name '*.gz' -o -name '*.xz' -o -name '*.zst' -o -name '*.old' -o -name '*.[0-9]' \) -exec rm -f {} +`,
              `find "$root/var/log" -xdev -type f ! -path '*/journal/*' -size +8192k | while read -r log; do`,
              '  end=$(tail -c 65536 "$log") && printf "%s\\n" "$end" >"$log"',
              'done',
            ),
          ),
        ],
        destroys: 'old log messages of the live system',
      });
    },
  },
  {
    name: 'collect-nix-garbage',
    for: ['disk.full'],
    scope: 'system',
    title: 'Remove store paths that nothing refers to',
    confidence: 0.68,
    plan(evidence) {
      if (!usesNix(evidence) || !isFullAt(evidence, '/nix/store', '/nix/var')) return undefined;
      return planOf({
        commands: [
          onMachine(
            'collect-nix-garbage',
            'have nix-collect-garbage || die "no Nix here"',
            'limit=; ! have timeout || limit="timeout 580"',
            ...freeing('/nix/store', '$limit nix-collect-garbage --quiet'),
          ),
        ],
        destroys: 'store paths of the live system that nothing refers to',
      });
    },
  },
  {
    name: 'clean-boot',
    for: ['disk.full', 'bootloader'],
    scope: 'system',
    title: 'Take kernels that no boot entry mentions, and half-written files, out of the boot file system',
    confidence: 0.7,
    plan(evidence) {
      const boot = fullOnes(evidence).find(({ mountpoint }) => /\/(?:boot|efi|esp)$/.test(mountpoint));
      if (boot === undefined) return undefined;
      return planOf({
        commands: [
          onMachine(
            'clean-boot',
            `boot=${quote([boot.mountpoint])}`,
            'mkdir -p "$state/kept"',
            'entries=$(cat "$boot"/loader/entries/*.conf "$boot"/grub/grub.cfg "$boot"/grub2/grub.cfg "$boot"/extlinux/extlinux.conf 2>/dev/null || true)',
            'moved=0',
            'aside() { mkdir -p "$state/kept$(dirname "$1")" && cp -p "$1" "$state/kept$1" && rm -f "$1" && moved=$((moved + 1)); }',
            // Without a single entry there is no telling which kernel is of use.
            'if [ -n "$entries" ]; then',
            '  for file in "$boot"/EFI/nixos/*.efi "$boot"/kernels/*; do',
            '    [ -f "$file" ] || continue',
            '    case $entries in *"${file##*/}"*) ;; *) aside "$file" ;; esac',
            '  done',
            'fi',
            'for file in "$boot"/*.tmp "$boot"/*.new "$boot"/*.dpkg-new "$boot"/*.dpkg-bak "$boot"/*.old-dkms "$boot"/EFI/nixos/*.tmp "$boot"/kernels/*.tmp; do',
            '  [ ! -f "$file" ] || aside "$file"',
            'done',
            '[ "$moved" -gt 0 ] || die "everything there is of use"',
          ),
        ],
        undo: [
          onMachine(
            'clean-boot',
            '[ -d "$state/kept" ] || exit 0',
            '(cd "$state/kept" && find . -type f) | while read -r file; do cp -p "$state/kept/$file" "/$file"; done',
            'rm -rf "$state"',
          ),
        ],
      });
    },
  },
];
