import type { Evidence, Heal } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { blockDevices, fileSystems, swaps, withDescendants } from '../parse-probes.js';
import { onMachine, planOf } from './shell.js';

const MIB = 1024;
const LEAST_SWAP_MIB = 256;
const MOST_SWAP_MIB = 8192;
/** File systems on which a file can be swap (swapon(8)). */
const SWAPPABLE: ReadonlySet<string> = new Set(['ext2', 'ext3', 'ext4', 'xfs', 'btrfs']);

/** A mounted file system of a target disk with room for as much swap as there is memory, and how much. Never a tmpfs. */
function roomOnTarget({ probes, machine }: Evidence) {
  const devices = blockDevices(probes);
  const mounted = machine.disks.flatMap((disk) =>
    withDescendants(devices, disk).flatMap(({ mountpoints }) => mountpoints),
  );
  const [best] = fileSystems(probes)
    .filter(
      ({ mountpoint, type }) => SWAPPABLE.has(type) && mounted.includes(mountpoint) && /^\/[\w./-]+$/.test(mountpoint),
    )
    .map(({ mountpoint, type, freeKiB }) => ({
      mountpoint,
      type,
      sizeMiB: Math.min(machine.memoryMiB, Math.floor(freeKiB / MIB / 3), MOST_SWAP_MIB),
    }))
    .sort((a, b) => b.sizeMiB - a.sizeMiB);
  return best === undefined || best.sizeMiB < LEAST_SWAP_MIB ? undefined : best;
}

/** A target disk beside the first with nothing on it. */
function blankDisk({ probes, machine }: Evidence): string | undefined {
  const devices = blockDevices(probes);
  return machine.disks.slice(1).find((disk) => {
    const [device, ...parts] = withDescendants(devices, disk);
    if (device === undefined || parts.length > 0 || device.readOnly) return false;
    return (
      device.fileSystem === '' && device.mountpoints.length === 0 && device.sizeBytes >= LEAST_SWAP_MIB * MIB * MIB
    );
  });
}

const NOT_SWAPPED_YET = 'if [ -e "$state/swap" ] && grep -q "^$(cat "$state/swap") " /proc/swaps; then exit 0; fi';

export const MEMORY: readonly Heal[] = [
  {
    name: 'swap-on-zram',
    for: ['memory.oom'],
    scope: 'system',
    title: 'Compress memory that is not in use (zram)',
    confidence: 0.72,
    plan(evidence) {
      if (swaps(evidence.probes).some((swap) => swap.startsWith('/dev/zram'))) return undefined;
      const sizeMiB = Math.max(128, Math.floor(evidence.machine.memoryMiB / 2));
      return planOf({
        commands: [
          onMachine(
            'swap-on-zram',
            NOT_SWAPPED_YET,
            'modprobe -q zram num_devices=0 2>/dev/null || modprobe -q zram 2>/dev/null || true',
            '[ -e /sys/class/zram-control/hot_add ] || die "this kernel has no zram"',
            'number=$(cat /sys/class/zram-control/hot_add)',
            `echo ${sizeMiB}M >"/sys/block/zram$number/disksize"`,
            'for turn in $(seq 50); do [ ! -b "/dev/zram$number" ] || break; sleep 0.1 2>/dev/null || sleep 1; done',
            'mkswap "/dev/zram$number" >/dev/null',
            'swapon -p 100 "/dev/zram$number"',
            'mkdir -p "$state"',
            'echo "/dev/zram$number" >"$state/swap"',
          ),
        ],
        undo: [
          onMachine(
            'swap-on-zram',
            '[ -e "$state/swap" ] || exit 0',
            'swap=$(cat "$state/swap")',
            '! grep -q "^$swap " /proc/swaps || swapoff "$swap"',
            'echo "${swap#/dev/zram}" >/sys/class/zram-control/hot_remove 2>/dev/null || true',
            'rm -rf "$state"',
          ),
        ],
      });
    },
  },
  {
    name: 'swap-on-the-target',
    for: ['memory.oom'],
    scope: 'system',
    title: 'Swap to a file on the target’s file system, or to a target disk that is blank',
    confidence: 0.75,
    plan(evidence) {
      const room = roomOnTarget(evidence);
      const disk = room === undefined ? blankDisk(evidence) : undefined;
      if (room === undefined && disk === undefined) return undefined;
      const file = room === undefined ? '' : `${room.mountpoint === '/' ? '' : room.mountpoint}/.nixproof-swap`;
      const make =
        room === undefined
          ? [
              `swap=${quote([disk ?? ''])}`,
              '[ -z "$(lsblk -nro FSTYPE,MOUNTPOINT "$swap" | tr -d " \\n")" ] || die "$swap is not blank"',
              'mkswap "$swap" >/dev/null',
            ]
          : [
              `swap=${quote([file])}`,
              'rm -f "$swap"',
              '(umask 077; : >"$swap")',
              // A file that is copied on write, or has holes, cannot be swap (swapon(8)).
              ...(room.type === 'btrfs' ? ['chattr +C "$swap"'] : []),
              `dd if=/dev/zero of="$swap" bs=1M count=${room.sizeMiB} conv=fsync 2>/dev/null || { rm -f "$swap"; die "no room for it"; }`,
              'mkswap "$swap" >/dev/null',
            ];
      return planOf({
        commands: [
          onMachine(
            'swap-on-the-target',
            NOT_SWAPPED_YET,
            ...make,
            'swapon "$swap"',
            'mkdir -p "$state"',
            'echo "$swap" >"$state/swap"',
          ),
        ],
        undo: [
          onMachine(
            'swap-on-the-target',
            '[ -e "$state/swap" ] || exit 0',
            'swap=$(cat "$state/swap")',
            '! grep -q "^$swap " /proc/swaps || swapoff "$swap"',
            'if [ -b "$swap" ]; then wipefs -aq "$swap"; else rm -f "$swap"; fi',
            'rm -rf "$state"',
          ),
        ],
        ...(disk === undefined ? {} : { destroys: `what is on ${disk}, which is blank` }),
      });
    },
  },
];
