import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError } from '../../domain/error.js';
import { terminate, type ProcessIdentity } from '../../host/process.js';
import type { Child } from '../server/child.js';
import { logTail } from '../server/logs.js';

/** One that lived so long before it died did not die of its start. */
const SETTLED_MS = 30_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 5000;
const MOST_DEATHS = 7;

export interface Kept {
  readonly name: string;
  readonly log: string;
  /** How long it is given to end after SIGTERM. */
  readonly graceMs: number;
  readonly start: () => Promise<Child>;
  /** Called with each process that takes a dead one's place. */
  readonly onReplaced: (identity: ProcessIdentity) => Promise<void>;
  readonly progress: (message: string) => void;
}

/** A child that is started again whenever it dies, with growing pauses. Disposing ends it for good. */
export interface Supervised extends AsyncDisposable {
  /** Rejects when it has died too often at its start; resolves only after disposal. */
  readonly gaveUp: Promise<void>;
}

export function supervise(first: Child, kept: Kept): Supervised {
  const stopping = new AbortController();
  const isStopping = () => stopping.signal.aborted;
  let child = first;
  const watch = async () => {
    let startedAt = performance.now();
    for (let deaths = 1; ; deaths++) {
      const how = await child.ended;
      if (isStopping()) return;
      if (performance.now() - startedAt > SETTLED_MS) deaths = 1;
      kept.progress(`the ${kept.name} ended (${how}); starting it again`);
      if (deaths > MOST_DEATHS) throw await diedTooOften(kept, child, how);
      await delay(Math.min(FIRST_PAUSE_MS * 2 ** (deaths - 1), LONGEST_PAUSE_MS), undefined, {
        signal: stopping.signal,
      });
      startedAt = performance.now();
      child = await kept.start();
      // One that was being started while we were told to stop.
      if (isStopping()) return terminate(child.identity, kept.graceMs);
      await kept.onReplaced(child.identity);
    }
  };
  const gaveUp = watch().catch((error: unknown) => {
    if (!isStopping()) throw error;
  });
  // Whoever waits for it hears of it; nobody does while the holder is ending.
  gaveUp.catch(() => undefined);
  return {
    gaveUp,
    async [Symbol.asyncDispose]() {
      stopping.abort();
      await terminate(child.identity, kept.graceMs);
      await gaveUp.catch(() => undefined);
    },
  };
}

async function diedTooOften({ name, log }: Kept, child: Child, how: string): Promise<NixproofError> {
  const tail = await logTail(log, { offset: child.logOffset });
  return new NixproofError('SERVER_STACK_DIED', `the local ${name} keeps ending (${how}):\n${tail}`, {
    hint: `read ${log}`,
    details: { log: tail.split('\n'), logFile: log },
  });
}
