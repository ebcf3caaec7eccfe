/**
 * Whose resources a reading tells: those of the system the installer runs in, of the host itself where that is no machine of its own
 * (the sandbox), or of the VM's process on the host.
 */
export type SystemPart = 'guest' | 'host' | 'vm';

/** What one part of the system said at one moment: a line of `system.ndjson`. */
export interface SystemReading {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly of: SystemPart;
  /** Seconds on a clock of the part's own that is never set, only begun anew: what the counters' rates go by. */
  readonly clock: number;
  /** As it was at that moment, by the metric's name without its part. */
  readonly levels: Readonly<Record<string, number>>;
  /** What only grows: the metric is how much it did in a second. */
  readonly counters: Readonly<Record<string, number>>;
}

/** `share`: 1 is the whole; `seconds` and `bytes` as they say; `number` has no unit. */
export type MetricUnit = 'share' | 'seconds' | 'bytes' | 'bytes/s' | 'number';

const MACHINE_UNITS: Readonly<Record<string, MetricUnit>> = {
  /** Of all its processors: 1 is when none is ever idle. */
  cpu: 'share',
  /** The one-minute load average. */
  load: 'number',
  /** What is not available for a program without swapping. */
  'memory.used': 'bytes',
  'swap.used': 'bytes',
  /** From and to whole disks. */
  'disk.read': 'bytes/s',
  'disk.write': 'bytes/s',
  /** Over every interface but the loopback. */
  'network.receive': 'bytes/s',
  'network.send': 'bytes/s',
  /** Until the first binary cache's answer begins, name, connection and TLS in it. */
  'cache.latency': 'seconds',
};

const VM_UNITS: Readonly<Record<string, MetricUnit>> = {
  /** Of one of the host's processors: 2 is two of them, always busy. */
  cpu: 'share',
  /** Resident, with what it shares with other clones of its template. */
  memory: 'bytes',
  'disk.read': 'bytes/s',
  'disk.write': 'bytes/s',
};

const UNITS: ReadonlyMap<string, MetricUnit> = new Map(
  Object.entries({ guest: MACHINE_UNITS, host: MACHINE_UNITS, vm: VM_UNITS }).flatMap(([part, units]) =>
    Object.entries(units).map(([name, unit]) => [`${part}.${name}`, unit] as const),
  ),
);

/** The unit of a metric of the system's, such as `guest.cpu`; undefined for the name of any other metric. */
export function systemMetricUnit(name: string): MetricUnit | undefined {
  return UNITS.get(name);
}

/** Linux counts processor time in hundredths of a second for everybody who asks (USER_HZ, time(7)). */
export const TICKS_A_SECOND = 100;
