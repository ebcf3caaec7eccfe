import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Worker } from 'node:worker_threads';
import { NixproofError } from '../../domain/error.js';
import { currentFence } from '../fence.js';
import { isErrno, namesIn } from '../files.js';
import { startThread } from '../thread.js';

/** How often the event loop shows that it turns. */
const BEAT_MS = 250;
/** Longer than heartbeats may stay away: by then the server has given its steps to others. */
const FROZEN_MS = 12_000;
/** Maximum number of workers that one step may end. */
const MOST_DEATHS = 3;

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
 * Notes in a run's folder which of its steps ends this process, so that it does not end one after
 * the other (`refuseDeadly`): by an error that nothing catches, or by freezing its event loop. That
 * is watched from a thread. If the loop stops, the thread asks in which step's code that is, and
 * kills the process: its supervisor starts another. A process that is stopped or asleep is not
 * frozen: its thread stops with it.
 */
export function watchSteps(frozenMs: number = FROZEN_MS): AsyncDisposable {
  const turns = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const view = new Int32Array(turns);
  const beat = setInterval(() => Atomics.add(view, 0, 1), BEAT_MS);
  beat.unref();
  Object.assign(globalThis, { [WHOSE_CODE]: () => currentFence()?.folder ?? '' });
  const watched: Watched = { turns, lookMs: 2 * BEAT_MS, looks: Math.ceil(frozenMs / (2 * BEAT_MS)) };
  process.on('uncaughtExceptionMonitor', noteCurrent);
  const thread: Worker = startThread(new URL('./thread', import.meta.url), { workerData: watched });
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(beat);
      process.off('uncaughtExceptionMonitor', noteCurrent);
      await thread.terminate();
    },
  };
}

function noteCurrent(): void {
  const folder = currentFence()?.folder;
  if (folder !== undefined) note(folder);
}

/**
 * Notes that a step ends its worker: right before that, so it does not wait for anything. A run whose
 * folder was removed gets none.
 */
export function note(leaseFolder: string): void {
  const file = noteOf(leaseFolder);
  try {
    if (!existsSync(path.dirname(file))) mkdirSync(path.dirname(file), { mode: 0o700 });
    writeFileSync(file, '');
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Where that is noted: beside the folder of its leases, named as its lease. */
export function noteOf(leaseFolder: string): string {
  return path.join(path.dirname(path.dirname(leaseFolder)), 'deaths', path.basename(leaseFolder));
}

/**
 * Refuses a step that has ended its worker too often: it would end the next one.
 * @param leaseFolder of this try: `EXECUTION.STEP.TRY`
 * @throws NixproofError `INTERNAL_STEP_ENDS_WORKER`
 */
export async function refuseDeadly(leaseFolder: string): Promise<void> {
  const folder = path.dirname(noteOf(leaseFolder));
  const step = path.basename(leaseFolder).replace(/[^.]*$/, '');
  const deaths = (await namesIn(folder)).filter((name) => name.startsWith(step)).length;
  if (deaths < MOST_DEATHS) return;
  throw new NixproofError('INTERNAL_STEP_ENDS_WORKER', `this step has ended its worker ${deaths} times`, {
    hint: 'please report it with the run’s artifacts; `nixproof cancel` ends the others of its suite',
    details: { deaths },
  });
}
