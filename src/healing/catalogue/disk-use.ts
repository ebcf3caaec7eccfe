import type { Evidence, Heal } from '../../domain/heal.js';
import { blockDevices, withDescendants, type BlockDevice } from '../parse-probes.js';
import { onMachine, planOf } from './shell.js';

/** The running system must not stand on what is taken apart. */
const OF_THE_SYSTEM: ReadonlySet<string> = new Set(['/', '/nix', '/nix/store', '/iso', '/usr', '/boot', '/etc']);

/** What stands on the target disks, disks included; undefined where the running system does, or nothing is known of them. */
function onTargets({ probes, machine }: Evidence): readonly BlockDevice[] | undefined {
  const devices = blockDevices(probes);
  const found = machine.disks.flatMap((disk) => withDescendants(devices, disk));
  const ours = found.some(({ mountpoints }) => mountpoints.some((point) => OF_THE_SYSTEM.has(point)));
  return found.length === 0 || ours ? undefined : found;
}

/** Looked at again in the machine: a probe is a moment old. */
const GUARD = `have lsblk || die 'no lsblk here'
for disk in $NIXPROOF_DISKS; do
  [ -b "$disk" ] || die "$disk is not there"
  if lsblk -nro MOUNTPOINT "$disk" | grep -qxE '/|/nix|/nix/store|/iso|/usr|/boot|/etc'; then die "the running system stands on $disk"; fi
done
parts() { for disk in $NIXPROOF_DISKS; do lsblk -nrpo NAME "$disk"; done | awk '{ line[NR] = $1 } END { for (i = NR; i > 0; i--) print line[i] }'; }`;

const UNMOUNT = `mkdir -p "$state"
touch "$state/mounts" "$state/swaps"
for part in $(parts); do
  if grep -q "^$part " /proc/swaps; then swapoff "$part" && echo "$part" >>"$state/swaps"; fi
  while grep "^$part " /proc/mounts >"$state/found"; do
    # What was mounted last goes first.
    tail -n 1 "$state/found" >"$state/last"
    read -r _ point type options _ <"$state/last"
    umount "$(printf %b "$point")" || die "$point stays mounted"
    printf '%s %s %s %s\\n' "$part" "$point" "$type" "$options" | cat - "$state/mounts" >"$state/new"
    mv "$state/new" "$state/mounts"
  done
done`;

/** In the order of lsblk's list from its end: what stands on something goes before it. */
const STOP = `stopped=
for turn in 1 2 3 4; do
  left=
  for part in $(parts); do
    [ -b "$part" ] || continue
    case $(lsblk -ndro TYPE "$part") in
      disk | part | rom) continue ;;
      lvm) group=$(lvs --noheadings -o vg_name "$part" 2>/dev/null | tr -d ' ') && [ -n "$group" ] && vgchange -an "$group" >/dev/null 2>&1 || dmsetup remove "$part" 2>/dev/null || true ;;
      crypt) cryptsetup close "\${part##*/}" 2>/dev/null || dmsetup remove "$part" 2>/dev/null || true ;;
      raid* | linear | md) mdadm --stop "$part" 2>/dev/null || true ;;
      *) dmsetup remove "$part" 2>/dev/null || true ;;
    esac
    if [ -b "$part" ]; then left="$left $part"; else stopped="$stopped $part"; fi
  done
  [ -n "$left" ] || break
  sleep 1
done
[ -z "$left" ] || die "still in use:$left"`;

const START_AGAIN = `! have mdadm || mdadm --assemble --scan >/dev/null 2>&1 || true
! have vgchange || vgchange -ay >/dev/null 2>&1 || true`;

const MOUNT_AGAIN = `[ -f "$state/mounts" ] || exit 0
while read -r part point type options; do mount -t "$type" -o "$options" "$part" "$(printf %b "$point")"; done <"$state/mounts"
while read -r part; do swapon "$part"; done <"$state/swaps"
rm -rf "$state"`;

export const DISK_USE: readonly Heal[] = [
  {
    name: 'unmount-the-target',
    for: ['disk.busy', 'disk.partition-failed'],
    scope: 'system',
    title: 'Unmount what is mounted of the target disks and stop their swap',
    confidence: 0.85,
    plan(evidence) {
      const devices = onTargets(evidence);
      if (devices?.some(({ mountpoints }) => mountpoints.length > 0) !== true) return undefined;
      return planOf({
        commands: [onMachine('unmount-the-target', GUARD, UNMOUNT)],
        undo: [onMachine('unmount-the-target', MOUNT_AGAIN)],
      });
    },
  },
  {
    name: 'stop-arrays-and-volumes',
    for: ['disk.busy', 'disk.partition-failed'],
    scope: 'system',
    title: 'Stop the RAID arrays, LVM groups and mapped devices that hold the target disks',
    confidence: 0.82,
    plan(evidence) {
      const devices = onTargets(evidence);
      if (devices?.some(({ type }) => type !== 'disk' && type !== 'part') !== true) return undefined;
      const heal = 'stop-arrays-and-volumes';
      return planOf({
        commands: [onMachine(heal, GUARD, UNMOUNT, STOP, '[ -n "$stopped" ] || die "nothing holds the target disks"')],
        undo: [onMachine(heal, START_AGAIN, MOUNT_AGAIN)],
      });
    },
  },
  {
    name: 'wipe-the-target',
    for: ['disk.busy', 'disk.partition-failed'],
    scope: 'system',
    title: 'Take everything on the target disks apart and wipe their signatures and partition tables',
    confidence: 0.72,
    plan(evidence) {
      const devices = onTargets(evidence);
      if (devices === undefined || devices.every(({ readOnly }) => readOnly)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'wipe-the-target',
            'have wipefs || die "no wipefs here"',
            GUARD,
            UNMOUNT,
            STOP,
            `for part in $(parts); do
  if [ ! -b "$part" ]; then continue; fi
  wipefs -aq "$part"
  # RAID and LVM keep copies elsewhere than where wipefs looks.
  ! have mdadm || mdadm --zero-superblock "$part" 2>/dev/null || true
  dd if=/dev/zero of="$part" bs=1M count=1 conv=fsync 2>/dev/null || die "$part cannot be written"
done
for disk in $NIXPROOF_DISKS; do
  ! have sgdisk || sgdisk --zap-all "$disk" >/dev/null 2>&1 || true
  blockdev --rereadpt "$disk" 2>/dev/null || partprobe "$disk" 2>/dev/null || true
done
! have udevadm || udevadm settle --timeout=30
rm -rf "$state"`,
          ),
        ],
        // Only a beginning that partitions can follow.
        resume: 'rerun',
        destroys: `everything on ${evidence.machine.disks.join(', ')}`,
      });
    },
  },
];
