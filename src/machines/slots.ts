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
import { takesMemory } from './running.js';

/** What a host gives to machines that have memory of their own. */
export interface Capacity {
  readonly machines: number;
  readonly memoryMiB: number;
}

/** What a machine asks of its host. */
interface Share {
  readonly id: string;
  readonly memoryMiB: number;
}

/** `slots/<machine>.json`: a machine's share of its host. */
interface Slot {
  readonly memoryMiB: number;
  /** Who makes the machine, or started it last: the slot is its until the machine runs. */
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
 * Takes a machine's share of the host, waiting while others have too much; keeps the one that it has. A slot whose maker is dead
 * and whose machine does not run is nobody's, so whoever starts a machine again takes its share first.
 * @throws NixproofError `HOST_MEMORY_LOW` where the host could never give so much
 */
export async function takeSlot(layout: Layout, { id, memoryMiB }: Share, { signal, progress }: Work): Promise<void> {
  const capacity = hostCapacity();
  for (let toldAt = -Infinity; ;) {
    const others = await slotTakers(layout, { id, memoryMiB }, signal);
    if (others === undefined) return;
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
export async function takeSlotNow(layout: Layout, share: Share, { signal }: Work): Promise<boolean> {
  return (await slotTakers(layout, share, signal)) === undefined;
}

/** Takes the share, or gives the slots of the others where they leave no room for it. */
async function slotTakers(
  layout: Layout,
  { id, memoryMiB }: Share,
  signal: AbortSignal,
): Promise<readonly Slot[] | undefined> {
  const capacity = hostCapacity();
  const slot: Slot = { memoryMiB, maker: await ownIdentity() };
  return withLock(path.join(folderOf(layout), 'lock'), { signal }, async () => {
    // What it has nobody takes from it, though the host may give less by now.
    if (!(await readJson<Slot>(fileOf(layout, id)))) {
      const taken = await takenSlots(layout, signal);
      const memory = taken.reduce((sum, other) => sum + other.memoryMiB, memoryMiB);
      if (taken.length >= capacity.machines || memory > capacity.memoryMiB) return taken;
    }
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

/** All slots but those that are nobody's, which are removed. Under the lock. */
async function takenSlots(layout: Layout, signal: AbortSignal): Promise<readonly Slot[]> {
  const names = (await readdir(folderOf(layout)).catch(() => [])).filter((name) => name.endsWith('.json'));
  const slots = await Promise.all(
    names.map(async (name) => {
      const id = name.slice(0, -'.json'.length);
      const slot = await readJson<Slot>(fileOf(layout, id));
      if (!slot || (await isAlive(slot.maker)) || (await takesMemory(layout, id, signal))) return slot;
      await freeSlot(layout, id);
      return undefined;
    }),
  );
  return slots.filter((slot) => slot !== undefined);
}
