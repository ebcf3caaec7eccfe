import { randomBytes } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { readJson, writeJson } from '../../host/files.js';
import { ownIdentity } from '../../host/lock.js';
import { isAlive, type ProcessIdentity } from '../../host/process.js';
import type { StackFiles } from '../stack-files.js';

/** `leases/<pid>-<random>.json`: why the stack has to stay. */
interface LeaseFile {
  readonly owner: ProcessIdentity;
  /** Workflow ids whose end the stack waits for, also after the owner is gone. */
  readonly suites: readonly string[];
  /** The owner, though it may live on, no longer needs the stack for itself. */
  readonly released: boolean;
}

/** This process's claim on the stack. */
export interface StackClaim {
  /** The stack stays until that suite has ended, whatever becomes of this process. */
  holdFor(suite: string): Promise<void>;
  /** Gives the claim up; what it holds for goes on holding. */
  release(): Promise<void>;
}

export async function takeClaim(files: StackFiles): Promise<StackClaim> {
  const owner = await ownIdentity();
  const file = path.join(files.leases, `${process.pid}-${randomBytes(4).toString('hex')}.json`);
  let state: LeaseFile = { owner, suites: [], released: false };
  let written = writeJson(file, state);
  // One write after the other, so that the last state is the one that stays.
  const change = (next: Partial<LeaseFile>) => {
    state = { ...state, ...next };
    const now = state;
    written = written.then(() =>
      now.released && now.suites.length === 0 ? rm(file, { force: true }) : writeJson(file, now),
    );
    return written;
  };
  await written;
  return {
    holdFor: (suite) => change({ suites: [...state.suites, suite] }),
    release: () => (state.released ? written : change({ released: true })),
  };
}

/**
 * Whether anything still needs the stack. Leases that nothing stands behind any more are removed.
 * @param isUnfinished asks the server whether a suite still runs
 */
export async function isNeeded(files: StackFiles, isUnfinished: (suite: string) => Promise<boolean>): Promise<boolean> {
  for (const name of await readdir(files.leases).catch(() => [])) {
    if (!name.endsWith('.json')) continue;
    const file = path.join(files.leases, name);
    const lease = await readJson<LeaseFile>(file);
    if (!lease) continue;
    if (!lease.released && (await isAlive(lease.owner))) return true;
    // Read again: the owner may have added a suite before it died.
    const suites = (await readJson<LeaseFile>(file))?.suites ?? [];
    for (const suite of suites) if (await isUnfinished(suite)) return true;
    await rm(file, { force: true });
  }
  return false;
}
