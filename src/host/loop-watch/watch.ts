import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { NixproofError } from '../../domain/error.js';
import { currentFence } from '../fence.js';
import { namesIn } from '../files.js';
import { startThread } from '../thread.js';

/** How often the event loop shows that it turns. */
const BEAT_MS = 250;
/** Longer than heartbeats may stay away: by then the server has given its steps to others. */
const FROZEN_MS = 12_000;
/** How often a step may stop the event loop of its worker before it is not tried again. */
const MOST_FREEZES = 3;

/** What the thread that watches is given. */
export interface Watched {
  /** Counts the turns of the event loop. */
  readonly turns: SharedArrayBuffer;
  readonly lookMs: number;
  /** How many looks without a turn mean that the loop is frozen. */
  readonly looks: number;
}

/** The name of the function that says, asked from outside, in whose code this process is. */
export const WHOSE_CODE = 'nixproofWhoseCode';

/**
 * Watches the event loop of this process from a thread. If it stops, the thread asks in which
 * step's code that is, notes it in the run's folder, and kills the process: its supervisor starts
 * another. A process that is stopped or asleep is not frozen: its thread stops with it.
 */
export function watchLoop(frozenMs: number = FROZEN_MS): AsyncDisposable {
  const turns = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const view = new Int32Array(turns);
  const beat = setInterval(() => Atomics.add(view, 0, 1), BEAT_MS);
  beat.unref();
  Object.assign(globalThis, { [WHOSE_CODE]: () => currentFence()?.folder ?? '' });
  const watched: Watched = { turns, lookMs: 2 * BEAT_MS, looks: Math.ceil(frozenMs / (2 * BEAT_MS)) };
  const thread: Worker = startThread(new URL('./thread', import.meta.url), { workerData: watched });
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      await thread.terminate();
    },
  };
}

/** Where it is noted that a step froze: beside the folder of its leases, named as its lease. */
export function noteOf(leaseFolder: string): string {
  return path.join(path.dirname(path.dirname(leaseFolder)), 'freezes', path.basename(leaseFolder));
}

/**
 * Refuses a step that has stopped its worker's event loop too often: it would stop the next one's.
 * @param leaseFolder of this try: `EXECUTION.STEP.TRY`
 * @throws NixproofError `INTERNAL_STEP_FREEZES`
 */
export async function refuseFreezing(leaseFolder: string): Promise<void> {
  const folder = path.dirname(noteOf(leaseFolder));
  const step = path.basename(leaseFolder).replace(/[^.]*$/, '');
  const freezes = (await namesIn(folder)).filter((name) => name.startsWith(step)).length;
  if (freezes < MOST_FREEZES) return;
  throw new NixproofError('INTERNAL_STEP_FREEZES', `this step has frozen its worker ${freezes} times`, {
    hint: 'please report it with the run’s artifacts; `nixproof cancel` ends the others of its suite',
    details: { freezes },
  });
}
