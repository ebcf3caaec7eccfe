import { readFile } from 'node:fs/promises';
import { TICKS_A_SECOND } from '../domain/system.js';
import { statFields, type ProcessIdentity } from '../host/process.js';

/** What a process has used of the host since it began. */
export interface ProcessUsage {
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** Bytes from and to disks; nothing where the kernel tells only the process's owner. */
  readonly disk: Readonly<Partial<Record<'disk.read' | 'disk.write', number>>>;
}

/** Undefined where the process is gone, or this is no Linux. */
export async function processUsage({ pid, startedAt }: ProcessIdentity): Promise<ProcessUsage | undefined> {
  const [stat, status, io] = await Promise.all([
    statFields(pid).catch(() => undefined),
    readFile(`/proc/${pid}/status`, 'utf8').catch(() => ''),
    readFile(`/proc/${pid}/io`, 'utf8').catch(() => ''),
  ]);
  if (stat?.[START_TIME] !== startedAt) return undefined;
  const read = valueOf(io, 'read_bytes');
  const written = valueOf(io, 'write_bytes');
  return {
    cpuSeconds: (Number(stat[USER_TIME]) + Number(stat[SYSTEM_TIME])) / TICKS_A_SECOND,
    residentBytes: (valueOf(status, 'VmRSS') ?? 0) * 1024,
    disk: read === undefined || written === undefined ? {} : { 'disk.read': read, 'disk.write': written },
  };
}

/** Places in what `statFields` gives. */
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const START_TIME = 19;

function valueOf(text: string, key: string): number | undefined {
  const value = new RegExp(`^${key}:\\s*(\\d+)`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
}
