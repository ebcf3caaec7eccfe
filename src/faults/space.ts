import type { Fault } from './fault.js';
import { FILL, injecting, injectingFiles, looking, takingBack } from './shell.js';

/** A disk that no machine of ours has. */
const ABSENT = '/dev/sdz';

/** Mount points of the target disks' file systems that a file can fill; the firmware's partition is not among them. */
const TARGETS = `targets() {
  for disk in $NIXPROOF_DISKS; do
    for device in $(lsblk -nrpo NAME "$disk"); do
      awk -v device="$device" '$1 == device && $3 ~ /^(ext[234]|btrfs|xfs|f2fs)$/ && !seen[$1]++ { print $2 }' /proc/mounts
    done
  done
}`;

export const SPACE_FAULTS: readonly Fault[] = [
  {
    name: 'disk-renamed',
    title: 'The deployed tree names a target disk that is not there',
    outcome: 'healed',
    expects: ['disk.not-found', 'disk.partition-failed', 'mount.failed'],
    heals: ['use-the-found-disk'],
    moment: 'start',
    afterRelease: false,
    scope: 'files',
    injection: {
      kind: 'guest',
      inject: injectingFiles(
        'disk-renamed',
        `[ ! -e "$root${ABSENT}" ] || die 'this machine has a ${ABSENT}'`,
        'disk=${NIXPROOF_DISK#"$root"}',
        'cd "$NIXPROOF_TREE"',
        'grep -rlIF --exclude-dir=.git -- "$disk" . >"$state/files" || die "nothing in the deployed tree names $disk"',
        'echo "$disk" >"$state/disk"',
        `while read -r file; do sed -i "s#$disk#${ABSENT}#g" "$file"; done <"$state/files"`,
      ),
      takeBack: takingBack(
        'disk-renamed',
        'cd "$NIXPROOF_TREE"',
        `while read -r file; do [ ! -f "$file" ] || sed -i "s#${ABSENT}#$(cat "$state/disk")#g" "$file"; done <"$state/files"`,
      ),
    },
    evidence: looking(
      'disk-renamed',
      `[ ! -e "$root${ABSENT}" ] || die '${ABSENT} is there'`,
      `echo 'there is no ${ABSENT}, and the tree names it:'`,
      'cd "$NIXPROOF_TREE"',
      `grep -rnIF --exclude-dir=.git -- ${ABSENT} . | head -n 3`,
    ),
    drivers: ['qemu', 'libvirt', 'ssh', 'sandbox'],
  },
  {
    name: 'disk-full',
    title: 'The target’s file systems are full',
    outcome: 'failed',
    expects: ['disk.full'],
    heals: [],
    moment: 'target-mounted',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'disk-full',
        TARGETS,
        FILL,
        '[ -n "$(targets)" ] || die "no file system of a target disk is mounted"',
        'for folder in $(targets); do fill "$folder"; done',
      ),
      takeBack: takingBack(
        'disk-full',
        TARGETS,
        'for folder in $(targets); do rm -f "$folder"/.nixproof-fault-*; done',
      ),
    },
    evidence: looking(
      'disk-full',
      TARGETS,
      'for folder in $(targets); do',
      '  if dd if=/dev/zero of="$folder/.nixproof-look" bs=1M count=4 2>/dev/null; then full=; else full=1; fi',
      '  rm -f "$folder/.nixproof-look"',
      '  [ -n "$full" ] || die "there is room in $folder"',
      '  df -Pk "$folder" | tail -n 1',
      'done',
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'tmp-full',
    title: 'The file system of /tmp, in memory, is full',
    outcome: 'healed',
    expects: ['disk.full'],
    heals: ['grow-the-tmpfs', 'temporary-files-on-the-target', 'remove-temporary-files'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'tmp-full',
        FILL,
        // Made small first: a file system in memory that is filled takes as much memory.
        `if grep -q '^[^ ]* /tmp tmpfs ' /proc/mounts; then`,
        '  df -Pk /tmp | { read -r _; read -r _ size _; echo "$size"; } >"$state/size"',
        '  mount -o "remount,size=$(($(du -skx /tmp | cut -f 1) + 8192))k" /tmp',
        'else',
        '  mkdir -p "$state/tmp"',
        '  mount -t tmpfs -o size=16m,mode=1777 nixproof-fault "$state/tmp"',
        '  cp -a /tmp/. "$state/tmp/"',
        '  mount --bind "$state/tmp" /tmp',
        '  umount "$state/tmp"',
        'fi',
        'fill /tmp',
      ),
      takeBack: takingBack(
        'tmp-full',
        'if [ -e "$state/size" ]; then rm -f /tmp/.nixproof-fault-*; mount -o "remount,size=$(cat "$state/size")k" /tmp',
        'else umount /tmp || umount -l /tmp; fi',
      ),
    },
    evidence: looking(
      'tmp-full',
      'if dd if=/dev/zero of=/tmp/.nixproof-look bs=1M count=1 2>/dev/null; then full=; else full=1; fi',
      'rm -f /tmp/.nixproof-look',
      '[ -n "$full" ] || die "there is room in /tmp"',
      'df -Pk /tmp | tail -n 1',
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
];
