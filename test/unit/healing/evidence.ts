import { readFileSync } from 'node:fs';
import type { FailureClass } from '../../../src/domain/diagnosis.js';
import type { Evidence, ProbeResults } from '../../../src/domain/heal.js';
import { diagnosesOf } from '../diagnosis/reading.js';

const read = (name: string) =>
  JSON.parse(readFileSync(new URL(`recorded-probes/${name}.json`, import.meta.url), 'utf8')) as ProbeResults;

/** Of a clone of the debian base: UEFI, 1 GiB of memory, target disks of 3 and 1 GiB, nothing wrong. */
export const GUEST = read('debian-guest');
/** Of a container, without systemd. */
export const HOST = read('container');
export const SANDBOX: ProbeResults = { machine: 'root=/home/me/machines/x/root\n' };

interface Situation {
  /** The log that is diagnosed. */
  readonly log: string;
  /** Which of its diagnoses is meant; the best unless given. */
  readonly as?: FailureClass;
  /** What is other than in the guest that was recorded. */
  readonly probes?: ProbeResults;
  readonly disks?: readonly string[];
  readonly kind?: 'nixos' | 'script';
}

/** All that heals look at, as it would be after a log. */
export function evidenceOf({
  log,
  as,
  probes = {},
  disks = ['/dev/vdb', '/dev/vdc'],
  kind = 'script',
}: Situation): Evidence {
  const found = log === '' ? [] : diagnosesOf(log);
  const diagnosis =
    log === ''
      ? { class: 'unknown' as const, confidence: 0, line: 0, offset: 0, evidence: [], why: '', rule: '', captures: {} }
      : found.find((one) => one.class === (as ?? found[0]?.class));
  if (diagnosis === undefined) throw new Error(`no diagnosis ${as ?? ''} of ${log}: ${JSON.stringify(found)}`);
  const sharesSystem = probes['machine']?.startsWith('root=/') === true;
  return {
    diagnosis,
    phase: '',
    probes: sharesSystem ? probes : { ...GUEST, ...probes },
    machine: { disks, memoryMiB: 1024, firmware: 'uefi', sharesSystem },
    install: { kind },
    tree: '/root/config',
  };
}

/** Rows of lsblk as the probe prints them. */
export function lsblk(
  ...rows: readonly (readonly [name: string, parent: string, type: string, mountpoint?: string, fileSystem?: string])[]
): string {
  return rows
    .map(
      ([name, parent, type, mountpoint = '', fileSystem = '']) =>
        `NAME="${name}" PATH="/dev/${name}" PKNAME="${parent}" SIZE="3221225472" TYPE="${type}" RO="0" FSTYPE="${fileSystem}" MOUNTPOINTS="${mountpoint}"`,
    )
    .join('\n');
}

/** Rows of `df -P`, in KiB, and of /proc/mounts. */
export function mounted(
  ...rows: readonly (readonly [device: string, mountpoint: string, type: string, size: number, free: number])[]
): ProbeResults {
  const table = rows.map(([device, point, , size, free]) => `${device} ${size} ${size - free} ${free} 50% ${point}`);
  return {
    space: ['Filesystem 1024-blocks Used Available Capacity Mounted on', ...table].join('\n'),
    inodes: '',
    mounts: rows.map(([device, point, type]) => `${device} ${point} ${type} rw 0 0`).join('\n'),
  };
}
