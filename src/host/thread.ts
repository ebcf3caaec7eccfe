import { fileURLToPath } from 'node:url';
import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a thread of this process that keeps it from ending only while `ref()` holds.
 * @param program without its suffix, which is another one where the sources are run
 */
export function startThread(program: URL, options: Omit<WorkerOptions, 'execArgv' | 'env'>): Worker {
  // What lets this process run the sources lets a thread.
  const preloaded = process.execArgv.flatMap((flag, at, all) => (flag === '--import' ? [flag, all[at + 1] ?? ''] : []));
  const thread = new Worker(fileURLToPath(program), { ...options, execArgv: preloaded, env: {} });
  thread.unref();
  return thread;
}
