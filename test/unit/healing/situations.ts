import type { AttemptEnd } from '../../../src/domain/attempt.js';
import type { Evidence } from '../../../src/domain/heal.js';
import { withEnd } from '../../../src/diagnosis/end-diagnosis.js';
import { evidenceOf, GUEST, lsblk, mounted } from './evidence.js';

/** For every heal a failure in which it has a plan, and one, of a class it is for, in which it has none. */
interface Situations {
  readonly plans: Evidence;
  readonly abstains: Evidence;
}

const NO_DISK = 'Error: Could not stat device /dev/sda - No such file or directory.';
const BUSY = 'mke2fs: /dev/vdb1 is apparently in use by the system; will not make a filesystem here!';
const NO_NAME = 'curl: (6) Could not resolve host: mirror.example.org';
const NO_WAY = 'curl: (7) Failed to connect to 10.0.2.2 port 8080: Network is unreachable';
const UNANSWERED = "error: unable to download 'https://cache.example.org/nix-cache-info': HTTP error 503";
const DENIED = "error: unable to download 'https://cache.example.org/nix-cache-info': HTTP error 404";
const CORRUPT = "error: hash mismatch in file downloaded from 'https://cache.example.org/nar/x.nar.xz'";
const FULL = 'cp: error writing x: No space left on device';
const KILLED = '[ 1.000000] Out of memory: Killed process 42 (cc1plus)';
const LOCKED = 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1234 (apt-get)';
const EFI_FULL = 'Could not prepare Boot variable: No space left on device';
const GIB_KIB = 1024 ** 2;

const disk = (probes: string) => ({ disks: probes });
const idle = disk(lsblk(['vda', '', 'disk', '/', 'ext4'], ['vdb', '', 'disk'], ['vdc', '', 'disk']));
const used = disk(
  lsblk(['vda', '', 'disk', '/', 'ext4'], ['vdb', '', 'disk'], ['vdb1', 'vdb', 'part', '/mnt', 'ext4']),
);
const arrays = disk(lsblk(['vdb', '', 'disk'], ['vdb1', 'vdb', 'part'], ['md127', 'vdb1', 'raid1', '', 'ext4']));
/** The installer is started from a disk that is a target too. */
const ours = disk(lsblk(['vdb', '', 'disk'], ['vdb1', 'vdb', 'part', '/', 'ext4']));
const down = {
  links: '2: eth0: <BROADCAST,MULTICAST> mtu 1500 qdisc noop state DOWN mode DEFAULT',
  addresses: '',
  routes: '',
};
const bare = {
  links: '2: eth0: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP',
  addresses: '',
  routes: '',
};
const noRoute = { routes: '10.0.2.0/24 dev eth0 proto kernel scope link src 10.0.2.15' };
const substituters = {
  nix: 'substituters = https://cache.example.org https://cache.nixos.org/\ntrusted-substituters = ',
};
const oneSubstituter = { nix: 'substituters = https://cache.example.org\ntrusted-substituters = ' };
const target = mounted(['/dev/vdb1', '/mnt', 'ext4', 8 * GIB_KIB, 6 * GIB_KIB], ['tmpfs', '/tmp', 'tmpfs', 65536, 0]);
const full = (mountpoint: string, type = 'ext4') => mounted(['/dev/vda', mountpoint, type, GIB_KIB, 1024]);
const roomy = mounted(['/dev/vda', '/', 'ext4', 8 * GIB_KIB, 6 * GIB_KIB]);
const noNix = { nix: '' };

/** After an attempt that ended in this way without a word. */
function endedBy(kind: 'killed' | 'machine-lost'): Evidence {
  const end: AttemptEnd = { kind };
  const [diagnosis] = withEnd([], end, { line: 0, offset: 0 });
  if (diagnosis === undefined) throw new Error(`no diagnosis of ${kind}`);
  return { ...evidenceOf({ log: '' }), diagnosis };
}

export const SITUATIONS: Readonly<Record<string, Situations>> = {
  'use-the-found-disk': {
    plans: evidenceOf({ log: NO_DISK, probes: idle }),
    abstains: evidenceOf({ log: NO_DISK.replace('sda', 'vdb'), probes: idle }),
  },
  'alias-the-missing-disk': {
    plans: evidenceOf({ log: NO_DISK, probes: idle }),
    abstains: evidenceOf({ log: NO_DISK, probes: ours, disks: ['/dev/vdb'] }),
  },
  'wait-for-the-device': {
    plans: evidenceOf({ log: 'mount: /mnt: special device /dev/vdb1 does not exist.', probes: idle }),
    abstains: evidenceOf({ log: 'mount: /mnt: special device /dev/vdb1 does not exist.', probes: used }),
  },
  'reread-partition-tables': {
    plans: evidenceOf({ log: BUSY, probes: idle }),
    abstains: evidenceOf({ log: BUSY, disks: [] }),
  },
  'make-the-mount-point': {
    plans: evidenceOf({ log: 'mount: /mnt/boot: mount point does not exist.' }),
    abstains: evidenceOf({ log: "mount: /mnt: unknown filesystem type 'zfs'." }),
  },
  'unmount-the-target': {
    plans: evidenceOf({ log: BUSY, probes: used, disks: ['/dev/vdb'] }),
    abstains: evidenceOf({ log: BUSY, probes: ours, disks: ['/dev/vdb'] }),
  },
  'stop-arrays-and-volumes': {
    plans: evidenceOf({ log: BUSY, probes: arrays, disks: ['/dev/vdb'] }),
    abstains: evidenceOf({ log: BUSY, probes: used, disks: ['/dev/vdb'] }),
  },
  'wipe-the-target': {
    plans: evidenceOf({ log: BUSY, probes: used, disks: ['/dev/vdb'] }),
    abstains: evidenceOf({ log: BUSY, probes: ours, disks: ['/dev/vdb'] }),
  },
  'use-the-networks-resolver': {
    plans: evidenceOf({ log: NO_NAME, probes: { resolver: 'nameserver 192.0.2.1' } }),
    abstains: evidenceOf({ log: NO_NAME, probes: { leases: '', routes: '' } }),
  },
  'use-public-resolvers': {
    plans: evidenceOf({ log: NO_NAME, probes: { names: '' } }),
    abstains: evidenceOf({ log: NO_NAME, probes: noRoute }),
  },
  'restart-the-resolver': {
    plans: evidenceOf({ log: NO_NAME, probes: { names: '', resolver: 'nameserver 127.0.0.53\noptions edns0' } }),
    abstains: evidenceOf({ log: NO_NAME, probes: { resolver: 'nameserver 10.0.2.3' } }),
  },
  'bring-the-interface-up': {
    plans: evidenceOf({ log: NO_WAY, probes: down }),
    abstains: evidenceOf({ log: NO_WAY }),
  },
  'renew-the-lease': {
    plans: evidenceOf({ log: NO_WAY, probes: bare }),
    abstains: evidenceOf({ log: NO_WAY }),
  },
  'add-the-default-route': {
    plans: evidenceOf({ log: NO_WAY, probes: noRoute }),
    abstains: evidenceOf({ log: NO_WAY }),
  },
  'restart-the-network': {
    plans: evidenceOf({ log: NO_WAY, probes: bare }),
    abstains: evidenceOf({ log: NO_WAY }),
  },
  'wait-for-the-host': {
    plans: evidenceOf({ log: UNANSWERED }),
    abstains: evidenceOf({ log: DENIED }),
  },
  'wait-as-told': {
    plans: evidenceOf({ log: 'HTTP error 429: too many requests, Retry-After: 90' }),
    abstains: evidenceOf({ log: 'HTTP error 429: too many requests, Retry-After: 86400' }),
  },
  'run-again': {
    plans: evidenceOf({ log: 'Timed out waiting for device /dev/vdb1.' }),
    abstains: evidenceOf({ log: KILLED }),
  },
  'set-the-clock': {
    plans: evidenceOf({ log: 'curl: (60) SSL certificate problem: certificate is not yet valid' }),
    abstains: evidenceOf({ log: DENIED }),
  },
  'drop-the-substituter': {
    plans: evidenceOf({ log: CORRUPT, probes: substituters }),
    abstains: evidenceOf({ log: CORRUPT, probes: oneSubstituter }),
  },
  'build-without-cache': {
    plans: evidenceOf({ log: CORRUPT, probes: oneSubstituter }),
    abstains: evidenceOf({ log: CORRUPT, probes: { nix: 'substitute = false' } }),
  },
  'fall-back-to-building': {
    plans: evidenceOf({ log: CORRUPT, probes: oneSubstituter }),
    abstains: evidenceOf({ log: CORRUPT, probes: noNix }),
  },
  'download-with-more-patience': {
    plans: evidenceOf({ log: UNANSWERED }),
    abstains: evidenceOf({ log: DENIED }),
  },
  'fewer-build-jobs': {
    plans: evidenceOf({ log: KILLED, kind: 'nixos' }),
    abstains: evidenceOf({ log: KILLED, probes: { nix: 'cores = 1\nmax-jobs = 1' } }),
  },
  'enable-flakes': {
    plans: evidenceOf({ log: "error: experimental Nix feature 'flakes' is disabled" }),
    abstains: evidenceOf({ log: "error: flake 'path:/x' does not provide attribute 'y'" }),
  },
  'build-without-sandbox': {
    plans: evidenceOf({
      log: 'error: cloning builder process: Operation not permitted',
      probes: { nix: 'sandbox = true' },
    }),
    abstains: evidenceOf({
      log: 'error: cloning builder process: Operation not permitted',
      probes: { nix: 'sandbox = false' },
    }),
  },
  'build-as-root': {
    plans: evidenceOf({ log: "error: the group 'nixbld' specified in 'build-users-group' does not exist" }),
    abstains: evidenceOf({ log: 'error: cloning builder process: Operation not permitted' }),
  },
  'clear-nix-caches': {
    plans: evidenceOf({ log: CORRUPT }),
    abstains: evidenceOf({ log: CORRUPT, probes: noNix }),
  },
  'repair-the-store': {
    plans: evidenceOf({ log: "path '/nix/store/x' was modified! expected hash 'a', got 'b'" }),
    abstains: evidenceOf({ log: CORRUPT }),
  },
  'restart-the-nix-daemon': {
    plans: evidenceOf({
      log: "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
    }),
    abstains: evidenceOf({ log: "error: the group 'nixbld' specified in 'build-users-group' does not exist" }),
  },
  'trust-the-tree': {
    plans: evidenceOf({ log: "fatal: detected dubious ownership in repository at '/root/config'" }),
    abstains: evidenceOf({ log: "error: flake 'path:/x' does not provide attribute 'y'" }),
  },
  'refresh-package-lists': {
    plans: evidenceOf({ log: 'E: Failed to fetch http://deb.example.org/x.deb  Hash Sum mismatch' }),
    abstains: evidenceOf({ log: CORRUPT }),
  },
  'swap-on-zram': {
    plans: evidenceOf({ log: KILLED }),
    abstains: evidenceOf({ log: KILLED, probes: { swaps: 'Filename Type Size\n/dev/zram0 partition 524284 0 100' } }),
  },
  'swap-on-the-target': {
    plans: evidenceOf({ log: KILLED, probes: { ...used, ...target } }),
    abstains: evidenceOf({ log: KILLED, probes: { ...used, ...roomy }, disks: ['/dev/vdb'] }),
  },
  'grow-the-tmpfs': {
    plans: evidenceOf({ log: FULL, probes: full('/tmp', 'tmpfs') }),
    abstains: evidenceOf({ log: FULL, probes: full('/tmp') }),
  },
  'temporary-files-on-the-target': {
    plans: evidenceOf({ log: FULL, probes: { ...used, ...target } }),
    abstains: evidenceOf({ log: FULL, probes: { ...used, ...full('/') } }),
  },
  'remove-temporary-files': {
    plans: evidenceOf({ log: FULL, probes: full('/') }),
    abstains: evidenceOf({ log: FULL, probes: roomy }),
  },
  'rotate-logs': {
    plans: evidenceOf({ log: FULL, probes: full('/var/log') }),
    abstains: evidenceOf({ log: FULL, probes: roomy }),
  },
  'collect-nix-garbage': {
    plans: evidenceOf({ log: FULL, probes: full('/') }),
    abstains: evidenceOf({ log: FULL, probes: { ...full('/'), ...noNix } }),
  },
  'clean-boot': {
    plans: evidenceOf({ log: FULL, probes: full('/mnt/boot', 'vfat') }),
    abstains: evidenceOf({ log: FULL, probes: full('/') }),
  },
  'release-stale-locks': {
    plans: evidenceOf({ log: LOCKED }),
    abstains: evidenceOf({ log: '[ERROR] the frobnicator went away' }),
  },
  'load-the-module': {
    plans: evidenceOf({ log: 'modprobe: FATAL: Module zfs not found in directory /lib/modules/6.1' }),
    abstains: evidenceOf({
      log: 'modprobe: FATAL: Module zfs not found in directory /lib/modules/6.1',
      probes: { modules: 'zfs\next4' },
    }),
  },
  'load-the-file-system': {
    plans: evidenceOf({ log: "mount: /mnt: unknown filesystem type 'f2fs'." }),
    abstains: evidenceOf({ log: "mount: /mnt: unknown filesystem type 'ext4'." }),
  },
  'remove-crash-dumps': {
    plans: evidenceOf({
      log: EFI_FULL,
      probes: { 'efi-variables': 'uefi\nmounted\ndump-type0-1-1-1700000000-C-cfc8fc79-be2e-4ddc-97f0-9f98bfe298a0' },
    }),
    abstains: evidenceOf({ log: EFI_FULL }),
  },
  'mount-efi-variables': {
    plans: evidenceOf({ log: 'EFI variables are not supported on this system.', probes: { 'efi-variables': 'uefi' } }),
    abstains: evidenceOf({ log: 'EFI variables are not supported on this system.', probes: { 'efi-variables': '' } }),
  },
  'run-again-after-a-kill': {
    plans: endedBy('killed'),
    abstains: endedBy('machine-lost'),
  },
  'bring-the-machine-back': {
    plans: endedBy('machine-lost'),
    abstains: evidenceOf({ log: '' }),
  },
};

/** Evidence in which nothing can be relied on: what a guest that means harm would say. */
export const HOSTILE: readonly Evidence[] = Object.values(SITUATIONS).map(({ plans }) => {
  const harm = `'; touch /tmp/harm #$(touch /tmp/harm)\`touch /tmp/harm\`"\n\\`;
  const spoil = (texts: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, text === '' ? text : `${text}${harm}`]));
  const { diagnosis } = plans;
  return {
    ...plans,
    probes: Object.fromEntries(
      Object.entries({ ...GUEST, ...plans.probes }).map(([name, text]) => [
        name,
        text.replace(/(?<=[\w/.-])(?=[\s"]|$)/gm, () => harm.slice(0, -2)),
      ]),
    ),
    diagnosis: {
      ...diagnosis,
      captures: spoil(diagnosis.captures),
      evidence: diagnosis.evidence.flatMap((line) => [
        `${line}${harm}`,
        line.replace(/(?<=[\w/.-])(?=[\s'"]|$)/gm, () => harm),
      ]),
    },
  };
});
