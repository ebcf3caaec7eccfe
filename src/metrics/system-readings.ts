import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import type { Installation } from '../domain/profile.js';
import type { SystemReading } from '../domain/system.js';
import type { ProcessIdentity } from '../host/process.js';
import { processUsage } from './process-usage.js';
import type { Connection, Machine } from '../machines/machine.js';
import { PROC_FILES, parseProc } from './proc.js';
import { cacheLatency, usesCaches } from './cache-latency.js';

const ANSWER_MS = 15_000;
/** Far more than these files are long; the rest is cut off. */
const MAX_BYTES = 256 * 1024;
/** A cache's operator shall not notice us. */
const CACHE_EVERY_MS = 30_000;

/** Reads the counters of the system that a connection leads to. @throws NixproofError `TRANSPORT_*` */
export async function readGuest(
  machine: Machine,
  connection: Connection,
  signal: AbortSignal,
): Promise<SystemReading | undefined> {
  const of = partOf(machine);
  const options = { signal, timeoutMs: ANSWER_MS, maxBytes: MAX_BYTES };
  const read = parseProc(
    of === 'host' ? hostCounters() : (await connection.exec(['cat', ...PROC_FILES], options)).stdout,
  );
  return read && { at: Date.now(), of, ...read };
}

/** Empty where this is no Linux. */
function hostCounters(): string {
  try {
    return PROC_FILES.map((file) => readFileSync(file, 'latin1')).join('');
  } catch {
    return '';
  }
}

/** What runs in a sandbox is part of this host, whose counters it sees. */
function partOf({ info }: Machine): SystemReading['of'] {
  return info.driver === 'sandbox' ? 'host' : 'guest';
}

/** What asks the first binary cache, seldom, where the installer needs one. */
export function cacheReader(machine: Machine, install: Installation) {
  let askedAt = -Infinity;
  return async (connection: Connection, signal: AbortSignal): Promise<SystemReading | undefined> => {
    if (!usesCaches(install) || performance.now() - askedAt < CACHE_EVERY_MS) return undefined;
    askedAt = performance.now();
    const latency = await cacheLatency(connection, signal);
    if (latency === undefined) return undefined;
    return { at: Date.now(), of: partOf(machine), clock: 0, levels: { 'cache.latency': latency }, counters: {} };
  };
}

/** What reads a machine's process on this host, where it has one. */
export function vmReader(machine: Machine | undefined) {
  let known: ProcessIdentity | undefined;
  return async (): Promise<SystemReading | undefined> => {
    known ??= await machine?.hostProcess?.();
    const used = known && (await processUsage(known));
    // Started anew, it is another process.
    if (!used) known = undefined;
    return (
      used && {
        at: Date.now(),
        of: 'vm',
        clock: uptime(),
        levels: { memory: used.residentBytes },
        counters: { cpu: used.cpuSeconds, ...used.disk },
      }
    );
  };
}
