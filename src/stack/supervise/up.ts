import { setTimeout as delay } from 'node:timers/promises';
import { isAlive } from '../../host/process.js';
import { runHolder, type HolderOptions } from './holder.js';
import { takeClaim } from '../membership/claims.js';
import { readOwnRecord, type StackRecord } from '../membership/record.js';
import { stackFiles } from '../stack-files.js';

export interface UpOptions extends Omit<HolderOptions, 'onReady'> {
  /** Called when the stack is ready, and again should another holder's stack have taken its place. */
  readonly onReady: (stack: StackRecord, holder: 'ours' | 'another') => void;
}

/**
 * The local stack in the foreground until the signal says so: this process holds it, or takes part in the one another command
 * holds and becomes the holder when that one ends.
 * @throws NixproofError `SERVER_OTHER_INSTALLATION`; else as runHolder
 */
export async function runUp({ onReady, ...options }: UpOptions): Promise<void> {
  const files = stackFiles(options.layout);
  const { signal } = options.work;
  const lease = await takeClaim(files);
  try {
    while (!signal.aborted) {
      const outcome = await runHolder({ ...options, onReady: (stack) => onReady(stack, 'ours') });
      if (outcome === 'ended') continue;
      const stack = await readOwnRecord(files);
      if (stack) await attend(stack);
      else await rest(signal);
    }
  } finally {
    await lease.release();
  }

  async function attend(stack: StackRecord): Promise<void> {
    onReady(stack, 'another');
    while (!signal.aborted && (await isAlive(stack.holder))) await rest(signal);
  }
}

/** A moment, or less where the signal is aborted. */
async function rest(signal: AbortSignal): Promise<void> {
  await delay(200, undefined, { signal }).catch(() => undefined);
}
