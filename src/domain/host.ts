import type { DriverName } from './profile.js';

/** What a host's worker says of its host when it starts. */
export interface HostInfo {
  readonly host: string;
  /** What profiles may ask for: its own, and those that were found: the architecture, `kvm` where it works. */
  readonly labels: readonly string[];
  /** The drivers that work there. */
  readonly drivers: readonly DriverName[];
  readonly cpus: number;
  /** What it gives to machines. */
  readonly machines: number;
  readonly memoryMiB: number;
  /** The build of nixproof, and the version of Node. */
  readonly version: string;
  readonly node: string;
  /** Absolute path of the folder of its runs. */
  readonly runs: string;
}

/** A host as the directory has it: the memo of its workflow. */
export interface HostRecord extends HostInfo {
  /** Whether it is to get no more runs. What runs there goes on. */
  readonly drained: boolean;
}

/** A host, and whether its worker is there. */
export interface HostStatus extends HostRecord {
  /** When its worker last asked for work, ISO 8601; absent: not for minutes. */
  readonly lastSeen?: string;
  readonly alive: boolean;
}

/** Id of the workflow that keeps a host's record. */
export function hostWorkflow(host: string): string {
  return `host-${host}`;
}

/** What keeps a run off a host; undefined where it may have it. */
export function obstacle(host: Pick<HostRecord, 'labels' | 'drained'>, wanted: readonly string[]): string | undefined {
  if (host.drained) return 'it is drained';
  const missing = wanted.filter((label) => !host.labels.includes(label));
  return missing.length === 0 ? undefined : `it has no label ${missing.join(', ')}`;
}
