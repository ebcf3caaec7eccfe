import { readdir, rm } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError } from '../domain/error.js';
import { numberInEnvironment } from '../host/environment.js';
import { readJson, writeJson } from '../host/files.js';
import { ownIdentity, withLock } from '../host/lock.js';
import { isAlive, type ProcessIdentity } from '../host/process.js';
import type { Layout } from '../host/paths.js';
import type { Work } from './machine.js';

/** What a host gives to machines that have memory of their own. */
export interface Capacity {
  readonly machines: number;
  readonly memoryMiB: number;
}

/** `slots/<machine>.json`: a machine's share of its host. */
interface Slot {
  readonly memoryMiB: number;
  /** Who makes the machine: the slot is its until the machine runs. */
  readonly maker: ProcessIdentity;
}

const MIB = 1024 * 1024;
/** For the host itself, the server and the workers. */
const RESERVED_MIB = 1024;
/** Installs wait for disks and networks most of the time. */
const MACHINES_PER_CORE = 6;
const POLL_MS = 500;
const PROGRESS_MS = 4000;

/**
 * The capacity of this host: all memory but a reserve, and so many machines a core. `NIXPROOF_MAX_MACHINES` and
 * `NIXPROOF_MAX_MEMORY` (MiB) say otherwise. A template's memory, which all its clones share, is page cache and not counted: a
 * clone is counted as if it would write to all of its memory.
 * @throws NixproofError `CONFIG_ENVIRONMENT`
 */
export function hostCapacity(env: NodeJS.ProcessEnv = process.env): Capacity {
  return {
    machines: numberInEnvironment(env, 'NIXPROOF_MAX_MACHINES') ?? availableParallelism() * MACHINES_PER_CORE,
    memoryMiB: numberInEnvironment(env, 'NIXPROOF_MAX_MEMORY') ?? Math.floor(totalmem() / MIB) - RESERVED_MIB,
  };
}

/**
 * Takes a machine's share of the host, waiting while others have too much. A slot whose maker is dead and whose machine does not
 * run is nobody's.
 * @param runs whether the machine of a slot runs
 * @throws NixproofError `HOST_MEMORY_LOW` where the host could never give so much
 */
export async function takeSlot(
  layout: Layout,
  { id, memoryMiB }: { readonly id: string; readonly memoryMiB: number },
  runs: (id: string) => Promise<boolean>,
  { signal, progress }: Work,
): Promise<void> {
  const capacity = hostCapacity();
  if (memoryMiB > capacity.memoryMiB) {
    throw new NixproofError(
      'HOST_MEMORY_LOW',
      `the machine needs ${memoryMiB} MiB of memory, this host gives ${capacity.memoryMiB} MiB to machines`,
      {
        hint: 'give the profile less `machine.memory`, or raise NIXPROOF_MAX_MEMORY',
        details: { availableMiB: capacity.memoryMiB, neededMiB: memoryMiB },
      },
    );
  }
  for (let toldAt = -Infinity; ;) {
    const others = await slotTakers(layout, { id, memoryMiB }, runs, signal);
    if (others === undefined) return;
    if (performance.now() - toldAt >= PROGRESS_MS) {
      const used = others.reduce((sum, other) => sum + other.memoryMiB, 0);
      progress(
        `waiting for room: ${others.length} of ${capacity.machines} machines, ${used} of ${capacity.memoryMiB} MiB are taken`,
      );
      toldAt = performance.now();
    }
    await delay(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** Takes a machine's share if there is room for it now; false where there is none. */
export async function takeSlotNow(
  layout: Layout,
  share: { readonly id: string; readonly memoryMiB: number },
  runs: (id: string) => Promise<boolean>,
  { signal }: Work,
): Promise<boolean> {
  return (await slotTakers(layout, share, runs, signal)) === undefined;
}

/** Takes the share, or gives the slots of the others where they leave no room for it. */
async function slotTakers(
  layout: Layout,
  { id, memoryMiB }: { readonly id: string; readonly memoryMiB: number },
  runs: (id: string) => Promise<boolean>,
  signal: AbortSignal,
): Promise<readonly Slot[] | undefined> {
  const capacity = hostCapacity();
  const slot: Slot = { memoryMiB, maker: await ownIdentity() };
  return withLock(path.join(folderOf(layout), 'lock'), { signal }, async () => {
    const taken = await takenSlots(layout, id, runs);
    const memory = taken.reduce((sum, other) => sum + other.memoryMiB, memoryMiB);
    if (taken.length >= capacity.machines || memory > capacity.memoryMiB) return taken;
    await writeJson(fileOf(layout, id), slot);
    return undefined;
  });
}

/** Gives a machine's share back; does nothing where it has none. */
export async function freeSlot(layout: Layout, id: string): Promise<void> {
  await rm(fileOf(layout, id), { force: true });
}

function folderOf(layout: Layout): string {
  return path.join(layout.home, 'slots');
}

function fileOf(layout: Layout, id: string): string {
  return path.join(folderOf(layout), `${id}.json`);
}

/** The slots of others; those that are nobody's are removed. Under the lock. */
async function takenSlots(
  layout: Layout,
  mine: string,
  runs: (id: string) => Promise<boolean>,
): Promise<readonly Slot[]> {
  const taken: Slot[] = [];
  for (const name of await readdir(folderOf(layout)).catch(() => [])) {
    const id = name.endsWith('.json') ? name.slice(0, -'.json'.length) : mine;
    const slot = id === mine ? undefined : await readJson<Slot>(fileOf(layout, id));
    if (!slot) continue;
    if ((await isAlive(slot.maker)) || (await runs(id))) taken.push(slot);
    else await freeSlot(layout, id);
  }
  return taken;
}
