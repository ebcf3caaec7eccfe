import { AsyncLocalStorage } from 'node:async_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { isErrno } from './files.js';

/** What whoever has time to wait while a disk is full has said. */
export interface Patience {
  readonly signal: AbortSignal;
  /** Told when the wait begins, and when it is over. */
  readonly onFull: (full: boolean) => void;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

const patient = new AsyncLocalStorage<Patience>();

/** Everything that is called inside, however deep, may wait for room; the body is done again where no part of it did. */
export function withPatience<T>(patience: Patience, body: () => Promise<T>): Promise<T> {
  return patient.run(patience, () => whenThereIsRoom(body));
}

/**
 * Does a step that writes, again and again while the disk has no room for it: it must bear that. Outside of `withPatience` it is
 * done once.
 * @throws the signal's reason
 */
export async function whenThereIsRoom<T>(step: () => Promise<T>): Promise<T> {
  const patience = patient.getStore();
  if (!patience) return step();
  let pauseMs = FIRST_PAUSE_MS;
  let waits = false;
  try {
    for (;;) {
      try {
        return await step();
      } catch (error) {
        if (!isFull(error)) throw error;
      }
      waits = true;
      patience.onFull(true);
      await delay(pauseMs, undefined, { signal: patience.signal }).catch(() => patience.signal.throwIfAborted());
      pauseMs = Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
    }
  } finally {
    if (waits) patience.onFull(false);
  }
}

/** No room on the disk, or none that its owner may use. */
export function isFull(error: unknown): boolean {
  return isErrno(error, 'ENOSPC') || isErrno(error, 'EDQUOT');
}
