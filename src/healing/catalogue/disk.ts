import type { Evidence, Heal, TreeEdit } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { blockDevices, sandboxRoot, withDescendants } from '../parse-probes.js';
import { anywhere, onMachine, planOf } from './shell.js';
import { deviceOf, diskOf } from './subjects.js';

/** Disks an installer could have meant, the likeliest first. */
export function diskCandidates(evidence: Evidence): readonly { readonly path: string; readonly sizeBytes: number }[] {
  const root = sandboxRoot(evidence.probes) ?? '';
  const devices = blockDevices(evidence.probes);
  return evidence.machine.disks.flatMap((path) => {
    const disk = devices.find((device) => device.path === path && device.type === 'disk');
    const inUse = withDescendants(devices, path).some(({ mountpoints }) => mountpoints.length > 0);
    if (disk === undefined || disk.readOnly || inUse) return [];
    return [{ path: path.startsWith(`${root}/`) ? path.slice(root.length) : path, sizeBytes: disk.sizeBytes }];
  });
}

/** What a person may do where no disk could be found for them; undefined where the failure is another. */
export function diskAdvice(evidence: Evidence): string | undefined {
  if (evidence.diagnosis.class !== 'disk.not-found') return undefined;
  const found = diskCandidates(evidence).map(
    ({ path, sizeBytes }) => `${path} (${(sizeBytes / 1024 ** 3).toFixed(1)} GiB)`,
  );
  const named = deviceOf(evidence) ?? 'the disk that was named';
  return found.length === 0
    ? `${named} is not there, and no target disk is free`
    : `${named} is not there; name one of these in the configuration: ${found.join(', ')}`;
}

/** What names a whole disk, and no file system, volume or array. */
const OF_A_DISK = /^\/dev\/(?:(?:[shv]d|xvd)[a-z]+|nvme\d+n\d+|mmcblk\d+)$/;
/** Names by which lsblk does not know a disk: only the failure itself says that nothing has them. */
const LINK_TO_A_DISK = /^\/dev\/disk\/by-(?:id|path)\//;

/** The disk that was named and is not there, and one that is. */
function missingAndFound(evidence: Evidence) {
  const device = deviceOf(evidence);
  if (device === undefined) return undefined;
  const missing = diskOf(device);
  const isLink = evidence.diagnosis.class === 'disk.not-found' && LINK_TO_A_DISK.test(missing);
  if (!OF_A_DISK.test(missing) && !isLink) return undefined;
  const root = sandboxRoot(evidence.probes) ?? '';
  const devices = blockDevices(evidence.probes);
  // Without lsblk's word there is no knowing what is missing.
  if (devices.length === 0 || devices.some(({ path }) => path === missing || path === `${root}${missing}`))
    return undefined;
  const found = diskCandidates(evidence)[0]?.path;
  return found === undefined || found === missing ? undefined : { missing, found };
}

/** Partitions of `/dev/nvme0n1` are called `…p1`, of `/dev/sda` `…1`. */
const joiner = (disk: string) => (/\d$/.test(disk) ? 'p' : '');

const DIGITS = ['1', '2', '3', '4', '5', '6', '7', '8', '9'] as const;

/** What must become what for every mention of a disk and its partitions to name the other. */
function diskEdits(missing: string, found: string): readonly TreeEdit[] {
  const replace = (find: string, put: string): TreeEdit => ({ kind: 'replace', find, put });
  const whole = replace(missing, found);
  const byId = /^\/dev\/disk\//.test(missing);
  if (byId) return [replace(`${missing}-part`, `${found}${joiner(found)}`), whole];
  if (joiner(missing) === joiner(found)) return [whole];
  if (joiner(missing) === 'p') return [replace(`${missing}p`, found), whole];
  return DIGITS.map((digit) => replace(`${missing}${digit}`, `${found}p${digit}`)).concat(whole);
}

export const DISK: readonly Heal[] = [
  {
    name: 'use-the-found-disk',
    for: ['disk.not-found', 'disk.partition-failed', 'mount.failed'],
    scope: 'files',
    title: 'Name the target disk that is there instead of the one that is not',
    confidence: 0.9,
    plan(evidence) {
      const disks = missingAndFound(evidence);
      // The installer reads the tree from its beginning.
      return disks && planOf({ edits: diskEdits(disks.missing, disks.found), resume: 'rerun' });
    },
  },
  {
    name: 'alias-the-missing-disk',
    for: ['disk.not-found'],
    scope: 'system',
    title: 'Give the target disk that is there the missing name too, for as long as the machine runs',
    confidence: 0.5,
    plan(evidence) {
      const disks = missingAndFound(evidence);
      if (disks === undefined) return undefined;
      const missing = disks.missing.slice('/dev/'.length);
      const found = disks.found.slice('/dev/'.length);
      const part = missing.startsWith('disk/') ? '-part' : joiner(missing);
      const rules = [
        `KERNEL=="${found}", SYMLINK+="${missing}"`,
        `KERNEL=="${found}${joiner(found)}[0-9]*", ENV{PARTN}!="", SYMLINK+="${missing}${part}$env{PARTN}"`,
      ];
      const file = '/run/udev/rules.d/59-nixproof-alias.rules';
      return planOf({
        commands: [
          onMachine(
            'alias-the-missing-disk',
            'have udevadm || die "no udev here"',
            `mkdir -p /run/udev/rules.d`,
            `printf '%s\\n' ${quote(rules)} >${file}`,
            'udevadm control --reload',
            'udevadm trigger --action=change --subsystem-match=block',
            'udevadm settle --timeout=30',
            `[ -b ${quote([disks.missing])} ] || die "the name did not appear"`,
          ),
        ],
        undo: [
          onMachine(
            'alias-the-missing-disk',
            `rm -f ${file}`,
            'have udevadm || exit 0',
            'udevadm control --reload',
            'udevadm trigger --action=change --subsystem-match=block',
            'udevadm settle --timeout=30',
          ),
        ],
      });
    },
  },
  {
    name: 'wait-for-the-device',
    for: ['disk.not-found', 'disk.partition-failed', 'mount.failed', 'timeout'],
    scope: 'system',
    title: 'Read the partition tables again, load storage drivers and wait for the device',
    confidence: 0.55,
    plan(evidence) {
      const device = deviceOf(evidence);
      if (device === undefined) return undefined;
      if (blockDevices(evidence.probes).some(({ path }) => path === device)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'wait-for-the-device',
            'for driver in virtio_blk virtio_scsi virtio_pci sd_mod ahci nvme usb_storage uas mmc_block; do modprobe -q "$driver" 2>/dev/null || true; done',
            'for bus in /sys/class/scsi_host/*/scan; do [ ! -w "$bus" ] || echo "- - -" >"$bus" || true; done',
            'for disk in ${NIXPROOF_DISKS:-}; do blockdev --rereadpt "$disk" 2>/dev/null || partprobe "$disk" 2>/dev/null || true; done',
            '! have udevadm || udevadm trigger --subsystem-match=block || true',
            'for second in $(seq 60); do',
            `  [ ! -b ${quote([device])} ] || exit 0`,
            '  ! have udevadm || udevadm settle --timeout=5 || true',
            '  sleep 1',
            'done',
            `die ${quote([`${device} did not appear`])}`,
          ),
        ],
      });
    },
  },
  {
    name: 'reread-partition-tables',
    for: ['disk.partition-failed', 'disk.busy', 'mount.failed'],
    scope: 'system',
    title: 'Tell the kernel of the partitions that are on the target disks and wait until udev knows them',
    confidence: 0.5,
    plan(evidence) {
      if (evidence.machine.disks.length === 0) return undefined;
      return planOf({
        commands: [
          onMachine(
            'reread-partition-tables',
            'for disk in $NIXPROOF_DISKS; do',
            '  { have partx && partx -u "$disk" 2>/dev/null; } || blockdev --rereadpt "$disk" || partprobe "$disk" || [ -b "$disk" ] || die "$disk is not there"',
            'done',
            '! have udevadm || udevadm settle --timeout=30',
          ),
        ],
      });
    },
  },
  {
    name: 'make-the-mount-point',
    for: ['mount.failed'],
    scope: 'files',
    title: 'Make the folder that is to be mounted on',
    confidence: 0.75,
    plan(evidence) {
      const told = evidence.diagnosis.evidence.map(
        (line) =>
          /mount(?: point)?:? ['"‘]?(\/[\w./-]+?)['"’]?:? (?:mount point )?does(?: not|n't) exist/.exec(line)?.[1],
      );
      const folder = told.find((path) => path !== undefined && !path.includes('..') && !path.startsWith('/dev/'));
      if (folder === undefined) return undefined;
      return planOf({
        commands: [
          anywhere(
            'make-the-mount-point',
            `[ ! -d "$root"${quote([folder])} ] || die 'it is there already'`,
            `mkdir -p "$root"${quote([folder])}`,
          ),
        ],
        undo: [anywhere('make-the-mount-point', `rmdir "$root"${quote([folder])} 2>/dev/null || true`)],
      });
    },
  },
];
