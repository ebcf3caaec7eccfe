import { readdir } from 'node:fs/promises';
import type { Work } from '../../domain/work.js';
import type { Layout } from '../../host/paths.js';
import { isAlive, waitUntil, type ProcessIdentity } from '../../host/process.js';
import { bringUp, type JoinOptions } from './bring-up.js';
import { type StackClaim, takeClaim } from './claims.js';
import { readFailure, readLiveRecord, readOwnRecord, type StackRecord } from './record.js';
import { type StackFiles, stackFiles } from '../stack-files.js';

const WATCH_EVERY_MS = 1000;
/** Some of the holder's looks at its leases. */
const SETTLE_MS = 1500;
/** More than an orderly end takes. */
const END_MS = 15_000;

/** This process's use of the local stack. Disposing gives it up; the stack ends soon after nobody uses it. */
export interface StackUse extends AsyncDisposable {
  /** `127.0.0.1:PORT`, the gRPC frontend. */
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string;
  /** Whether this call started the stack, rather than finding it. */
  readonly started: boolean;
  /** Aborted, with a NixproofError as reason, when the stack died and could not be started again. */
  readonly lost: AbortSignal;
  /** The stack stays until that suite's workflow has ended, whatever becomes of this process. Call it before starting the suite. */
  holdFor(suiteId: string): Promise<void>;
}

/**
 * The stack that runs now for this home, of any installation, without starting one and without
 * keeping it.
 */
export async function findStack(layout: Layout): Promise<StackRecord | undefined> {
  return readLiveRecord(stackFiles(layout));
}

/**
 * Takes part in this home's local stack, starting it where none runs. While the lease is held, a holder that dies is replaced:
 * on the same database, and on the same ports where they are free.
 * @throws NixproofError `HOST_TEMPORAL_MISSING`, `SERVER_START_FAILED`, `SERVER_DATABASE_UNUSABLE`,
 * `SERVER_STACK_DIED`, `SERVER_OTHER_INSTALLATION`
 */
export async function joinStack(options: JoinOptions): Promise<StackUse> {
  const files = stackFiles(options.layout);
  const lease = await takeClaim(files);
  try {
    const found = await readOwnRecord(files);
    const record = found ?? (await bringUp(files, options));
    return watchedLease(files, options, lease, record, found === undefined);
  } catch (error) {
    await lease.release();
    throw error;
  }
}

function watchedLease(
  files: StackFiles,
  options: JoinOptions,
  lease: StackClaim,
  first: StackRecord,
  started: boolean,
): StackUse {
  const lost = new AbortController();
  const over = new AbortController();
  const work: Work = { ...options.work, signal: AbortSignal.any([options.work.signal, over.signal]) };
  let record = first;
  const watch = async () => {
    while (!(await pauseUnlessAborted(work.signal))) {
      if (await isAlive(record.holder)) continue;
      work.progress('the local stack is gone; starting it again');
      const failure = await readFailure(files, record.holder);
      if (failure) throw failure;
      record = await bringUp(files, { ...options, work });
    }
  };
  const watching = watch().catch((error: unknown) => {
    if (!work.signal.aborted) lost.abort(error);
  });
  return {
    get address() {
      return record.address;
    },
    get uiUrl() {
      return record.uiUrl;
    },
    namespace: 'default',
    started,
    lost: lost.signal,
    holdFor: (suiteId) => lease.holdFor(suiteId),
    async [Symbol.asyncDispose]() {
      over.abort();
      await watching;
      await lease.release();
      await attendEnd(files, record.holder);
    },
  };
}

/** Waits for the stack's end where nobody else needs it: a command that has ended leaves no process behind. */
async function attendEnd(files: StackFiles, holder: ProcessIdentity): Promise<void> {
  const isHeld = async () => (await readdir(files.leases)).some((name) => name.endsWith('.json'));
  // The holder removes what nothing stands behind any more; what is still there then is another command's, or a suite's.
  if (!(await waitUntil(async () => !(await isHeld()), SETTLE_MS))) return;
  await waitUntil(async () => !(await isAlive(holder)) || (await isHeld()), END_MS);
}

/** Waits a moment, without keeping the process alive for it; tells whether the signal said to stop. */
function pauseUnlessAborted(signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve(signal.aborted);
    };
    const timer = setTimeout(done, WATCH_EVERY_MS).unref();
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
