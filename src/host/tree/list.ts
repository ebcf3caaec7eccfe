import { constants, type BigIntStats } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { NixproofError, messageOf } from '../../domain/error.js';
import { isErrno } from '../files.js';
import { nameText, someNames, withoutDot } from './name-text.js';

/** A folder whose content is to be copied. */
export interface TreeSource {
  /** Absolute path; may be a link to a folder. */
  readonly folder: string;
  /** What is not copied, by its path below the folder; what is in such a folder is not either. */
  readonly isLeftOut: (name: string, isFolder: boolean) => boolean;
  /**
   * What a user does about a file that cannot be copied, beside mending it: `leave it out with …`.
   */
  readonly remedy: string;
}

interface Named {
  /** `./a/b`, the folder itself is `.`. Bytes: a name need not be UTF-8. */
  readonly name: Buffer;
  /** Type and permissions, as stat(2) has them in `st_mode`. */
  readonly mode: number;
}

/** One thing in a tree. `links`: how many names in the tree it has (hard links). */
export type TreeEntry =
  | (Named & { readonly kind: 'folder' })
  | (Named & { readonly kind: 'link'; readonly links: number; readonly target: Buffer })
  | (Named & {
      readonly kind: 'file';
      readonly links: number;
      readonly bytes: number;
      /** Of its content, in hexadecimal. */
      readonly sha256: string;
    });

/** All that is in a folder, as it was at one moment. */
export interface TreeList {
  /** Absolute path. */
  readonly folder: string;
  /** A folder stands before what is in it, and nothing else stands between. */
  readonly entries: readonly TreeEntry[];
  /** Sockets, pipes and devices: no copy has them. */
  readonly special: readonly Buffer[];
}

/** What of a tree no copy has, in one sentence; undefined: nothing. */
export function noteOf({ special }: TreeList): string | undefined {
  if (special.length === 0) return undefined;
  const what =
    special.length === 1 ? 'a socket, pipe or device was' : `${special.length} sockets, pipes or devices were`;
  return `${what} not copied: ${someNames(special.map(withoutDot))}`;
}

interface Seen {
  readonly name: Buffer;
  readonly stats: BigIntStats;
}

interface Unreadable {
  readonly name: Buffer;
  readonly error: unknown;
}

/** Files read side by side. */
const AT_ONCE = 8;
const CHUNK_BYTES = 1024 * 1024;
/**
 * The mode of every link on Linux; other systems give links modes of their own, which no copy can
 * have.
 */
const LINK_MODE = 0o120777;
/** It is not there any more, or has become something else. */
const VANISHED = ['ENOENT', 'ENOTDIR', 'ELOOP'];
const UNREADABLE = ['EACCES', 'EPERM', 'EIO', 'ENAMETOOLONG'];

/**
 * Lists a folder with everything below it and reads every file for its SHA-256. What vanishes
 * meanwhile is not in the list.
 * @throws NixproofError `CONFIG_DEPLOY_UNREADABLE` with the names of what cannot be read
 */
export async function listTree({ folder, isLeftOut, remedy }: TreeSource, signal: AbortSignal): Promise<TreeList> {
  const root = await realpath(folder, { encoding: 'buffer' });
  const unreadable: Unreadable[] = [];
  // One list for all folders: a tree may have more entries than a call may have arguments.
  const seen: Seen[] = [];

  /** @returns undefined where it is not there any more or cannot be read */
  async function look<T>(name: Buffer, how: (place: Buffer) => Promise<T>): Promise<T | undefined> {
    signal.throwIfAborted();
    try {
      return await how(Buffer.concat([root, name.subarray(1)]));
    } catch (error) {
      if (UNREADABLE.some((code) => isErrno(error, code))) unreadable.push({ name, error });
      else if (!VANISHED.some((code) => isErrno(error, code))) throw error;
      return undefined;
    }
  }

  async function walk(name: Buffer): Promise<void> {
    const names = (await look(name, (place) => readdir(place, { encoding: 'buffer' }))) ?? [];
    const children = names.sort((a, b) => a.compare(b)).map((child) => Buffer.concat([name, SLASH, child]));
    for (const child of await sideBySide(children, see)) {
      if (!child || isLeftOut(child.name.toString('utf8', 2), child.stats.isDirectory())) continue;
      seen.push(child);
      if (child.stats.isDirectory()) await walk(child.name);
    }
  }

  async function see(name: Buffer): Promise<Seen | undefined> {
    const stats = await look(name, (place) => lstat(place, { bigint: true }));
    return stats && { name, stats };
  }

  async function read({ name, stats }: Seen): Promise<TreeEntry | undefined> {
    const mode = Number(stats.mode);
    if (stats.isDirectory()) return { kind: 'folder', name, mode };
    if (stats.isFile()) return look(name, (place) => readFile(name, place, signal));
    const target = await look(name, (place) => readlink(place, { encoding: 'buffer' }));
    return target && { kind: 'link', name, mode: LINK_MODE, links: 1, target };
  }

  const top = await see(ROOT);
  if (top) {
    seen.push(top);
    await walk(ROOT);
  }
  const wanted = seen.filter(({ stats }) => !isSpecial(stats));
  const entries = await sideBySide(wanted, read);
  if (unreadable.length > 0) throw unreadableError(folder, unreadable, remedy);
  return {
    folder,
    entries: withLinks(wanted, entries),
    special: seen.filter(({ stats }) => isSpecial(stats)).map(({ name }) => name),
  };
}

const ROOT = Buffer.from('.');
const SLASH = Buffer.from('/');

function isSpecial(stats: BigIntStats): boolean {
  return !stats.isFile() && !stats.isDirectory() && !stats.isSymbolicLink();
}

/** In the order of the items, however long each takes. */
async function sideBySide<T, R>(items: readonly T[], each: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  const rest = items.entries();
  const work = async () => {
    for (const [index, item] of rest) results[index] = await each(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}

/** No further than it was long when it was opened: a log may grow as fast as it is read. */
async function readFile(name: Buffer, place: Buffer, signal: AbortSignal): Promise<TreeEntry | undefined> {
  // A pipe that has taken the file's place is not waited for, a link is not followed.
  const handle = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stats = await handle.stat({ bigint: true });
    if (!stats.isFile()) return undefined;
    const size = Number(stats.size);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(Math.min(size, CHUNK_BYTES));
    let bytes = 0;
    while (bytes < size) {
      signal.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, size - bytes), bytes);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
    return { kind: 'file', name, mode: Number(stats.mode), links: 1, bytes, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

/** What is there of what was seen, with its hard links counted. */
function withLinks(seen: readonly Seen[], entries: readonly (TreeEntry | undefined)[]): readonly TreeEntry[] {
  const names = new Map<string, number>();
  const inodes = seen.map(({ stats }) => `${stats.dev}:${stats.ino}`);
  for (const inode of inodes.filter((_, index) => entries[index])) names.set(inode, (names.get(inode) ?? 0) + 1);
  return entries.flatMap((entry, index) => {
    if (!entry || entry.kind === 'folder') return entry ?? [];
    return { ...entry, links: names.get(inodes[index] ?? '') ?? 1 };
  });
}

function unreadableError(folder: string, unreadable: readonly Unreadable[], remedy: string): NixproofError {
  const names = unreadable.map(({ name }) => withoutDot(name));
  const [first] = unreadable;
  return new NixproofError(
    'CONFIG_DEPLOY_UNREADABLE',
    `${folder} cannot be copied: ${someNames(names)} cannot be read (${messageOf(first?.error).split(',')[0]})`,
    {
      hint: `make it readable for the user who runs the worker, or ${remedy}`,
      details: { names: names.slice(0, 100).map(nameText) },
      cause: first?.error,
    },
  );
}
