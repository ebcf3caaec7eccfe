import { parentPort } from 'node:worker_threads';
import { messageOf } from '../domain/error.js';
import { diagnose } from './diagnose-log.js';
import { mineSuccessBaseline } from './success-baseline.js';
import { matches } from './pattern.js';

/** What a thread of the pool can be told to do; each takes and gives plain data. */
const TASKS = { diagnose, matches, mineSuccessBaseline };

export type Tasks = typeof TASKS;
export type Order = {
  [Name in keyof Tasks]: { readonly task: Name; readonly input: Parameters<Tasks[Name]>[0] };
}[keyof Tasks];
export type Answer = { readonly result: unknown } | { readonly error: string };

async function perform({ task, input }: Order): Promise<Answer> {
  try {
    return { result: await (TASKS[task] as (of: typeof input) => unknown)(input) };
  } catch (error) {
    return { error: messageOf(error) };
  }
}

parentPort?.on('message', (order: Order) => void perform(order).then((answer) => parentPort?.postMessage(answer)));
