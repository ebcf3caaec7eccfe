import { rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExistingMachine } from '../../domain/profile.js';
import { readJson, writeJson } from '../../host/files.js';
import { withLock } from '../../host/lock.js';
import type { Layout } from '../../host/paths.js';
import type { Work } from '../machine.js';
import { readRecord } from '../record.js';
import { hostFiles, type SshRecord } from './record.js';

/** `hosts/<address>:<port>/lease.json`. It holds as long as its run has a record, whatever becomes of processes. */
interface Lease {
  /** The id of the machine, which is its run's. */
  readonly owner: string;
  /** ISO 8601. */
  readonly since: string;
}

const POLL_MS = 500;
const PROGRESS_MS = 4000;

/**
 * Takes one of the machines for a run, the one it has already where it has one; waits while all are with others.
 * @param claim writes the run's record, before the lease that points to it: a lease without its record is anybody's
 * @throws the signal's reason
 */
export async function leaseHost(
  layout: Layout,
  owner: string,
  hosts: readonly ExistingMachine[],
  claim: (host: ExistingMachine) => Promise<void>,
  { signal, progress }: Work,
): Promise<ExistingMachine> {
  for (let toldAt = -Infinity; ;) {
    const host = await withLock(lockFile(layout), { signal }, async () => {
      const free = await firstFree(layout, owner, hosts);
      if (!free) return undefined;
      await claim(free);
      const lease: Lease = { owner, since: new Date().toISOString() };
      if (!(await holdsLease(layout, owner, free))) await writeJson(hostFiles(layout, free).lease, lease);
      return free;
    });
    if (host) return host;
    if (performance.now() - toldAt >= PROGRESS_MS) {
      progress(`waiting for a machine: ${await takenText(layout, hosts)}`);
      toldAt = performance.now();
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

export async function holdsLease(layout: Layout, owner: string, host: ExistingMachine): Promise<boolean> {
  return (await readJson<Lease>(hostFiles(layout, host).lease))?.owner === owner;
}

/** Gives a machine back; does nothing where another run has it. */
export async function releaseHost(layout: Layout, owner: string, host: ExistingMachine): Promise<void> {
  await withLock(lockFile(layout), {}, async () => {
    if (await holdsLease(layout, owner, host)) await rm(hostFiles(layout, host).lease, { force: true });
  });
}

function lockFile(layout: Layout): string {
  return path.join(layout.hosts, 'lock');
}

async function firstFree(
  layout: Layout,
  owner: string,
  hosts: readonly ExistingMachine[],
): Promise<ExistingMachine | undefined> {
  const owners = await Promise.all(hosts.map((host) => ownerOf(layout, host)));
  return hosts.find((_, index) => owners[index] === owner) ?? hosts.find((_, index) => owners[index] === undefined);
}

/** Whose a machine is; nobody's where the lease's run has no record of it any more. */
async function ownerOf(layout: Layout, host: ExistingMachine): Promise<string | undefined> {
  const files = hostFiles(layout, host);
  const lease = await readJson<Lease>(files.lease);
  if (!lease) return undefined;
  const record = await readRecord<SshRecord>(layout, lease.owner);
  const isIts = record?.driver === 'ssh' && hostFiles(layout, record.host).lease === files.lease;
  return isIts ? lease.owner : undefined;
}

async function takenText(layout: Layout, hosts: readonly ExistingMachine[]): Promise<string> {
  const texts = hosts.map(async (host) => `${host.name} is with ${(await ownerOf(layout, host)) ?? 'nobody'}`);
  return (await Promise.all(texts)).join(', ');
}
