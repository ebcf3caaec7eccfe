import { constants, type BigIntStats } from 'node:fs';
import { lstat, open, readdir, readlink, realpath } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { NixproofError, messageOf } from '../../domain/error.js';
import { isErrno } from '../files.js';
import { createTurns } from '../turns.js';
import { nameText, someNames } from './name-text.js';

/** A folder whose content is to be copied. */
export interface TreeSource {
  /** Absolute path; may be a link to a folder. */
  readonly folder: string;
  /** What is not copied, by its path below the folder; what is in such a folder is not either. */
  readonly isLeftOut: (name: string, isFolder: boolean) => boolean;
  /** What a user does about a file that cannot be copied, beside mending it: `leave it out with …`. */
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
  /** The folder, links resolved. */
  readonly folder: string;
  /** A folder stands before what is in it, and nothing else stands between. */
  readonly entries: readonly TreeEntry[];
  /** Sockets, pipes and devices: no copy has them. */
  readonly special: readonly Buffer[];
}

/** An entry before its hard links are counted. */
type Found = { readonly entry: TreeEntry; readonly inode: string };
type Unreadable = { readonly name: Buffer; readonly error: unknown };

/** Files read side by side. */
const READ_AT_ONCE = 8;
const CHUNK_BYTES = 1024 * 1024;
/** The mode of every link on Linux; other systems give links modes of their own, which no copy can have. */
const LINK_MODE = 0o120777;
/** It is not there any more, or has become something else. */
const VANISHED = ['ENOENT', 'ENOTDIR', 'ELOOP'];
const UNREADABLE = ['EACCES', 'EPERM', 'EIO', 'ENAMETOOLONG'];

/**
 * Lists a folder with everything below it and reads every file for its SHA-256. What vanishes meanwhile is not in the list.
 * @throws NixproofError `CONFIG_DEPLOY_UNREADABLE` with the names of what cannot be read
 */
export async function listTree({ folder, isLeftOut, remedy }: TreeSource, signal: AbortSignal): Promise<TreeList> {
  const root = Buffer.from(await realpath(folder));
  const special: Buffer[] = [];
  const unreadable: Unreadable[] = [];
  const reading = createTurns(READ_AT_ONCE);

  /** @returns undefined where it is not there any more or cannot be read */
  async function look<T>(name: Buffer, how: (place: Buffer) => Promise<T>): Promise<T | undefined> {
    signal.throwIfAborted();
    try {
      return await how(placeOf(root, name));
    } catch (error) {
      if (UNREADABLE.some((code) => isErrno(error, code))) unreadable.push({ name, error });
      else if (!VANISHED.some((code) => isErrno(error, code))) throw error;
      return undefined;
    }
  }

  async function walk(name: Buffer): Promise<Found[]> {
    const stats = await look(name, (place) => lstat(place, { bigint: true }));
    if (!stats || (name.length > 1 && isLeftOut(name.toString('utf8', 2), stats.isDirectory()))) return [];
    const inode = `${stats.dev}:${stats.ino}`;
    if (stats.isDirectory()) return walkFolder(name, { inode, entry: { kind: 'folder', name, mode: modeOf(stats) } });
    if (stats.isSymbolicLink()) {
      const target = await look(name, (place) => readlink(place, { encoding: 'buffer' }));
      return target ? [{ inode, entry: { kind: 'link', name, mode: LINK_MODE, links: 1, target } }] : [];
    }
    if (stats.isFile()) {
      const entry = await reading.run(signal, () => look(name, (place) => readFile(name, place, signal)));
      return entry ? [{ inode, entry }] : [];
    }
    special.push(name);
    return [];
  }

  async function walkFolder(name: Buffer, found: Found): Promise<Found[]> {
    const names = await look(name, (place) => readdir(place, { encoding: 'buffer' }));
    if (!names) return [];
    const below = names.sort((a, b) => a.compare(b)).map((child) => Buffer.concat([name, SLASH, child]));
    return [found, ...(await inGroups(below, walk)).flat()];
  }

  const found = await walk(Buffer.from('.'));
  if (unreadable.length > 0) throw unreadableError(folder, unreadable, remedy);
  return { folder: root.toString(), entries: withLinks(found), special };
}

const SLASH = Buffer.from('/');

function placeOf(root: Buffer, name: Buffer): Buffer {
  return Buffer.concat([root, name.subarray(1)]);
}

function modeOf({ mode }: BigIntStats): number {
  return Number(mode);
}

/** Not all children of a large folder at once, each of which may be a large folder. */
async function inGroups<T, R>(items: readonly T[], each: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += READ_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + READ_AT_ONCE).map(each))));
  }
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
    return { kind: 'file', name, mode: modeOf(stats), links: 1, bytes, sha256: hash.digest('hex') };
  } finally {
    await handle.close();
  }
}

function withLinks(found: readonly Found[]): readonly TreeEntry[] {
  const names = new Map<string, number>();
  for (const { inode } of found) names.set(inode, (names.get(inode) ?? 0) + 1);
  return found.map(({ entry, inode }) =>
    entry.kind === 'folder' ? entry : { ...entry, links: names.get(inode) ?? 1 },
  );
}

function unreadableError(folder: string, unreadable: readonly Unreadable[], remedy: string): NixproofError {
  const names = unreadable.map(({ name }) => name.subarray(2)).map((name) => (name.length === 0 ? Buffer.from('.') : name));
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
