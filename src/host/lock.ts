import { randomBytes } from 'node:crypto';
import { readlink, symlink, unlink } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { isErrno, makeFolder } from './files.js';
import { identify, isAlive, type ProcessIdentity } from './process.js';

/**
 * A lock between processes. It is a symbolic link whose target is its owner's identity as JSON: symlink(2) creates name and
 * content in one step and fails where the name exists, so there is no half-written lock and no temporary file to leave
 * behind. `kill -9` of the owner frees it: whoever comes next sees that the owner is dead.
 */
export interface FileLock extends AsyncDisposable {
  /** Does nothing where it was released before. */
  release(): Promise<void>;
}

interface LockContent extends ProcessIdentity {
  /** Tells apart two locks of one process. */
  readonly token: string;
}

export type LockAttempt =
  | { readonly status: 'acquired'; readonly lock: FileLock }
  | { readonly status: 'held'; readonly owner: ProcessIdentity };

/** Takes the lock if it is free or its owner is dead; tells who has it otherwise. The folder is made where it is missing. */
export async function tryLock(file: string): Promise<LockAttempt> {
  await makeFolder(path.dirname(file));
  const mine = { ...(await ownIdentity()), token: randomBytes(6).toString('hex') };
  for (;;) {
    if (await create(file, mine)) return { status: 'acquired', lock: lockOf(file, mine) };
    const target = await targetOf(file);
    if (target === undefined) continue;
    const owner = await livingOwner(target);
    if (owner) return { status: 'held', owner };
    await removeDead(file);
  }
}

/** Who has the lock: a living process, or undefined where it is free. */
export async function lockOwner(file: string): Promise<ProcessIdentity | undefined> {
  const target = await targetOf(file);
  return target === undefined ? undefined : livingOwner(target);
}

export interface LockOptions {
  readonly signal?: AbortSignal;
  /** Called once, if somebody else has the lock. */
  readonly onWait?: (owner: ProcessIdentity) => void;
}

/** Waits for the lock, however long its owner lives. @throws the signal's reason */
export async function acquireLock(file: string, { signal, onWait }: LockOptions = {}): Promise<FileLock> {
  for (let waited = false; ; waited = true) {
    signal?.throwIfAborted();
    const attempt = await tryLock(file);
    if (attempt.status === 'acquired') return attempt.lock;
    if (!waited) onWait?.(attempt.owner);
    await pause();
  }
}

/** Runs `fn` while holding the lock. @throws the signal's reason while it waits */
export async function withLock<T>(file: string, options: LockOptions, fn: () => Promise<T>): Promise<T> {
  const lock = await acquireLock(file, options);
  try {
    return await fn();
  } finally {
    await lock.release();
  }
}

/**
 * Removes a dead owner's lock. Two processes may see the same dead owner, and the slower must not remove the lock the faster
 * has taken since: so removing is itself done under a lock, and only after looking again. That lock's owner may die too,
 * which is the same problem one level up and solved the same way.
 */
async function removeDead(file: string): Promise<void> {
  await withLock(`${file}.stale`, {}, async () => {
    const target = await targetOf(file);
    if (target !== undefined && !(await livingOwner(target))) await unlinkIfThere(file);
  });
}

function lockOf(file: string, mine: LockContent): FileLock {
  let released = false;
  const release = async () => {
    if (released) return;
    released = true;
    if ((await targetOf(file)) === JSON.stringify(mine)) await unlinkIfThere(file);
  };
  return { release, [Symbol.asyncDispose]: release };
}

/** This process's own identity. */
export async function ownIdentity(): Promise<ProcessIdentity> {
  const self = await identify(process.pid);
  if (!self) throw new NixproofError('INTERNAL_NO_IDENTITY', 'this process is not in the process table');
  return self;
}

async function create(file: string, content: LockContent): Promise<boolean> {
  try {
    await symlink(JSON.stringify(content), file);
    return true;
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false;
    throw error;
  }
}

/** What stands in the lock; anything that is not a link of ours reads as the lock of nobody. */
async function targetOf(file: string): Promise<string | undefined> {
  try {
    return await readlink(file);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    if (isErrno(error, 'EINVAL')) return '';
    throw error;
  }
}

async function livingOwner(target: string): Promise<ProcessIdentity | undefined> {
  const owner = parseIdentity(target);
  return owner && (await isAlive(owner)) ? owner : undefined;
}

function parseIdentity(target: string): ProcessIdentity | undefined {
  try {
    const { pid, startedAt } = JSON.parse(target) as Partial<ProcessIdentity>;
    return typeof pid === 'number' && typeof startedAt === 'string' ? { pid, startedAt } : undefined;
  } catch {
    return undefined;
  }
}

async function unlinkIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
  }
}

/** Waiters that come at the same moment do not come again at the same moment. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 60));
}
