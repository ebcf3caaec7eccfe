import { NixproofError } from '../../domain/error.js';
import type { Work } from '../../domain/work.js';
import { lockOwner, withLock } from '../../host/lock.js';
import type { Layout } from '../../host/paths.js';
import { isAlive, waitUntil, type ProcessIdentity } from '../../host/process.js';
import { startChild } from '../server/child.js';
import { ownCommand } from './installation.js';
import { logTail } from '../server/logs.js';
import { withProgress } from '../server/with-progress.js';
import { readFailure, readOwnRecord, type StackRecord } from './record.js';
import type { StackFiles } from '../stack-files.js';
import { getTemporalServer } from '../server/temporal-server.js';

/** Far longer than a holder takes from its start to its lock. */
const HOLDS_WITHIN_MS = 10_000;
/** Holders that may die without a word before we believe that there will be none. */
const MOST_SPAWNS = 3;

export interface JoinOptions {
  readonly layout: Layout;
  readonly work: Work;
  /** What is run, detached, as the holder; `nixproof stack` unless given. */
  readonly holderCommand?: readonly string[] | undefined;
}

/** Waits for a ready stack; whenever there is no holder, starts one. */
export async function bringUp(files: StackFiles, options: JoinOptions): Promise<StackRecord> {
  const { work } = options;
  let spawned: ProcessIdentity | undefined;
  let spawns = 0;
  const next = async (): Promise<StackRecord> => {
    for (;;) {
      work.signal.throwIfAborted();
      const record = await readOwnRecord(files);
      if (record) return record;
      if (!(spawned && (await isAlive(spawned))) && !(await lockOwner(files.lock))) {
        if (spawned) await explain(files, spawned, spawns);
        await getTemporalServer({ work });
        spawned = await withLock(files.starting, work, () => spawnUnlessHeld(files, options));
        if (spawned) spawns++;
      }
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  };
  return withProgress(work, () => 'waiting for the local Temporal server to be ready', next, { atOnce: false });
}

/** @throws why the holder we started is gone, unless it may only have come second */
async function explain(files: StackFiles, spawned: ProcessIdentity, spawns: number): Promise<void> {
  const failure = await readFailure(files, spawned);
  if (failure) throw failure;
  if (spawns < MOST_SPAWNS) return;
  const tail = [await logTail(files.holderLog), await logTail(files.serverLog)]
    .filter((text) => text !== '')
    .join('\n');
  throw new NixproofError('SERVER_START_FAILED', `the local stack ended before it was ready:\n${tail}`, {
    hint: `read ${files.holderLog} and ${files.serverLog}`,
    details: { log: tail.split('\n'), logFile: files.holderLog },
  });
}

/** Under the lock of those who start one: until the new holder has its own lock, nobody else starts another beside it. */
async function spawnUnlessHeld(files: StackFiles, options: JoinOptions): Promise<ProcessIdentity | undefined> {
  if (await lockOwner(files.lock)) return undefined;
  const holder = await spawnHolder(files, options);
  await waitUntil(async () => !(await isAlive(holder)) || (await lockOwner(files.lock)) !== undefined, HOLDS_WITHIN_MS);
  return holder;
}

async function spawnHolder(
  files: StackFiles,
  { layout, work, holderCommand = ownCommand('stack') }: JoinOptions,
): Promise<ProcessIdentity> {
  work.progress('starting the local Temporal server');
  const child = await startChild({
    argv: holderCommand,
    cwd: layout.home,
    env: { ...process.env, NIXPROOF_HOME: layout.home },
    log: files.holderLog,
    parentPipe: false,
    outlivesUs: true,
  });
  return child.identity;
}
