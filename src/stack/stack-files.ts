import path from 'node:path';
import type { Layout } from '../host/paths.js';

/** The names inside `$NIXPROOF_HOME/stack`. */
export interface StackFiles {
  readonly folder: string;
  /** Held by the holder for its lifetime. */
  readonly lock: string;
  /** Held by who starts a holder, until that has its lock. */
  readonly starting: string;
  /** StackRecord: there while the stack is ready. */
  readonly record: string;
  /** ChildrenRecord: the server and the worker from the moment they are started. */
  readonly children: string;
  /** LastStart: what the next start should know of this one. */
  readonly last: string;
  /** HolderFailure: why the last holder gave up. */
  readonly failure: string;
  /** One file a lease. */
  readonly leases: string;
  /** The server's SQLite file; `-wal` and `-shm` stand beside it. */
  readonly database: string;
  readonly serverLog: string;
  readonly workerLog: string;
  readonly holderLog: string;
}

export function stackFiles(layout: Layout): StackFiles {
  const file = (name: string) => path.join(layout.stack, name);
  return {
    folder: layout.stack,
    lock: file('holder.lock'),
    starting: file('starting.lock'),
    record: file('stack.json'),
    children: file('children.json'),
    last: file('last-start.json'),
    failure: file('failure.json'),
    leases: file('leases'),
    database: file('temporal.db'),
    serverLog: file('server.log'),
    workerLog: file('worker.log'),
    holderLog: file('holder.log'),
  };
}
