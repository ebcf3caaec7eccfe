import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import type { OwnNetwork } from '../e2e/own-network.js';
import { end, type Arena } from './arena.js';
import type { PlannedFault } from './plan.js';
import type { Mend, Surroundings } from './surroundings.js';

/** Does to a bench what a plan says. */
export interface Tormentor {
  /** Does it, and mends it after its time. */
  suffer(fault: PlannedFault): Promise<void>;
  /** Waits for what was stopped, spoiled or is being started again. */
  settle(): Promise<void>;
}

/** Of what there is only one: done to one that is down already, it does nothing. */
type Single = 'server' | 'database' | 'cable' | 'packets';

/** Starts the arena's workers, to whom it happens. */
export function createTormentor(
  arena: Arena,
  surroundings: Surroundings,
  { workers, cable }: { readonly workers: number; readonly cable?: Pick<OwnNetwork, 'cut' | 'mend'> | undefined },
): Tormentor {
  const startWorker = (slot: number) =>
    arena.startWorker(surroundings.workerEnv(slot), cable && slot % 2 === 1 ? 'far' : 'near');
  const slots: ChildProcess[] = Array.from({ length: workers }, (_, slot) => startWorker(slot));
  const pending = new Set<Promise<void>>();
  const down = new Set<Single>();
  const during = async (spoiled: Promise<Mend>, forMs: number) => {
    const mend = await spoiled;
    await delay(forMs);
    await mend();
  };
  const alone = async (what: Single, body: () => Promise<void>) => {
    if (down.has(what)) return;
    down.add(what);
    await body().finally(() => down.delete(what));
  };
  const faults: { readonly [K in PlannedFault['kind']]: (fault: PlannedFault & { kind: K }) => Promise<void> } = {
    async 'kill-worker'({ worker }) {
      const victim = slots[worker];
      if (victim) await end(victim, 'SIGKILL');
      slots[worker] = startWorker(worker);
    },
    async 'end-worker'({ worker }) {
      const victim = slots[worker];
      slots[worker] = startWorker(worker);
      // One that is stopped ends when it may go on.
      if (victim) await end(victim, 'SIGTERM');
    },
    async 'stop-worker'({ worker, forMs }) {
      const victim = slots[worker];
      victim?.kill('SIGSTOP');
      await delay(forMs);
      victim?.kill('SIGCONT');
    },
    'kill-server': ({ forMs }) =>
      alone('server', async () => {
        await arena.server.kill();
        await delay(forMs);
        await arena.server.start();
      }),
    'restart-database': () => alone('database', async () => arena.cluster?.restartDatabase()),
    'cut-machines': ({ forMs }) => during(surroundings.cutMachines(), forMs),
    'swallow-machines': ({ forMs }) => alone('packets', () => during(surroundings.swallowMachines(), forMs)),
    'swallow-server': ({ forMs }) => during(surroundings.swallowServer(), forMs),
    'cut-host': ({ forMs }) =>
      alone('cable', async () => {
        await cable?.cut();
        await delay(forMs);
        await cable?.mend();
      }),
    'fill-disk': ({ forMs }) => during(surroundings.fillDisk(), forMs),
    'jump-clock': ({ worker, byMs, forMs }) => during(surroundings.jumpClock(worker, byMs), forMs),
  };
  return {
    suffer(fault) {
      const suffering = (faults[fault.kind] as (fault: PlannedFault) => Promise<void>)(fault);
      pending.add(suffering);
      return suffering.finally(() => pending.delete(suffering));
    },
    async settle() {
      await Promise.allSettled(pending);
    },
  };
}
