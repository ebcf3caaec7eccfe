import type { Worker } from 'node:worker_threads';
import { messageOf } from '../domain/error.js';
import { startThread } from '../host/thread.js';
import { createSemaphore } from '../host/semaphore.js';
import type { Answer, Order, Tasks } from './thread.js';

/** How many reads of all runs of this process are done side by side; the others wait. */
const THREADS = 2;
/** What a thread may take, MiB: a text that wants more ends its thread and no process. */
const MEMORY_MIB = 512;

export interface ReadingLimits {
  readonly signal?: AbortSignal;
  /** How long it may take once it has a thread, milliseconds. */
  readonly budgetMs: number;
}

/** Out of a read that was broken off: it took longer, or more memory, than it may. */
export class ReadingBrokenOff extends Error {
  override readonly name = 'ReadingBrokenOff';
}

const PROGRAM = new URL('./thread', import.meta.url);

const turns = createSemaphore(THREADS);
const idle: Worker[] = [];

/**
 * Has a guest's text read by a thread: patterns and their like, which a hostile text may keep busy
 * for ever. A thread that takes too long is ended, and the next read has another; other work is
 * never held up.
 * @throws ReadingBrokenOff; the signal's reason; whatever the task throws, as an `Error` with its
 * message
 */
export async function readInThread<Name extends keyof Tasks>(
  task: Name,
  input: Parameters<Tasks[Name]>[0],
  { signal = new AbortController().signal, budgetMs }: ReadingLimits,
): Promise<Awaited<ReturnType<Tasks[Name]>>> {
  return turns.run(signal, async (): Promise<Awaited<ReturnType<Tasks[Name]>>> => {
    const thread = idle.pop() ?? startThread(PROGRAM, { resourceLimits: { maxOldGenerationSizeMb: MEMORY_MIB } });
    thread.ref();
    try {
      const answer = await answerOf(thread, { task, input } as Order, signal, budgetMs);
      thread.unref();
      idle.push(thread);
      if ('error' in answer) throw new Error(answer.error);
      return answer.result as Awaited<ReturnType<Tasks[Name]>>;
    } finally {
      if (!idle.includes(thread)) await thread.terminate();
    }
  });
}

function answerOf(thread: Worker, order: Order, signal: AbortSignal, budgetMs: number): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const onMessage = (answer: Answer) => settle(() => resolve(answer));
    const onError = (error: unknown) =>
      settle(() => reject(new ReadingBrokenOff(`its thread ended: ${messageOf(error)}`)));
    const onExit = () => settle(() => reject(new ReadingBrokenOff('its thread ended')));
    const onAbort = () => settle(() => reject(signal.reason as Error));
    const late = () =>
      settle(() => reject(new ReadingBrokenOff(`it took longer than ${Math.round(budgetMs / 1000)} s`)));
    const timer = setTimeout(late, budgetMs);
    const settle = (end: () => void) => {
      clearTimeout(timer);
      thread.off('message', onMessage).off('error', onError).off('exit', onExit);
      signal.removeEventListener('abort', onAbort);
      end();
    };
    thread.on('message', onMessage).on('error', onError).on('exit', onExit);
    signal.addEventListener('abort', onAbort, { once: true });
    thread.postMessage(order);
  });
}
