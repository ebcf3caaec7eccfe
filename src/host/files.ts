import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  constants,
  copyFile,
  mkdir,
  open,
  readFile,
  readdir,
  rename,
  rm,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { passFence, temporaryFolder } from './fence.js';

/**
 * Makes a folder, and those above it, where there are none, for its owner alone: no other user
 * reaches what is in it.
 */
export async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
}

/**
 * Writes a file whole: a temporary name, fsync, rename. Readers see the old or the new, never a part.
 * @throws NixproofError `INTERNAL_LEASE_LOST` where a step writes that was taken over
 */
export async function writeWhole(file: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  // Before the folder is made, too: one who comes back from the dead may find it gone for good.
  await passFence();
  await makeFolder(path.dirname(file));
  const temporary = temporaryFor(file);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await passFence();
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    await passFence();
    throw error;
  }
}

/**
 * Gives a file another inode with the same first bytes, and opens that: what another process still writes to the file goes nowhere.
 * Where there is no such file it begins empty.
 * @throws NixproofError `INTERNAL_LEASE_LOST`
 */
export async function takeOver(file: string, length: number): Promise<FileHandle> {
  const temporary = temporaryFor(file);
  let handle: FileHandle | undefined;
  try {
    await copyFile(file, temporary, constants.COPYFILE_FICLONE).catch((error: unknown) => {
      if (!isErrno(error, 'ENOENT')) throw error;
    });
    handle = await open(temporary, constants.O_RDWR | constants.O_CREAT, 0o600);
    await handle.truncate(length);
    await rename(temporary, file);
    return handle;
  } catch (error) {
    await handle?.close();
    await rm(temporary, { force: true });
    await passFence();
    throw error;
  }
}

function temporaryFor(file: string): string {
  return path.join(temporaryFolder(file), `${path.basename(file)}.${randomBytes(4).toString('hex')}.tmp`);
}

export async function writeJson(file: string, value: unknown, mode?: number): Promise<void> {
  await writeWhole(file, `${JSON.stringify(value, null, 2)}\n`, mode);
}

/** Whether there is a folder (links are followed). */
export async function isFolder(place: string): Promise<boolean> {
  return (await stat(place).catch(() => undefined))?.isDirectory() ?? false;
}

/** A file's text, or undefined where there is no such file. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A JSON file of ours, or undefined where there is none. Ours: written whole, so it parses and has the shape it was given. */
export async function readJson<T>(file: string): Promise<T | undefined> {
  const text = await readIfThere(file);
  return text === undefined ? undefined : (JSON.parse(text) as T);
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === code;
}

/** A file and what it takes on its disk. */
export interface SizedFile {
  readonly file: string;
  readonly bytes: number;
}

/** Every file below a folder, but not in folders that cannot be read; none if it is absent. */
export async function filesBelow(folder: string): Promise<readonly SizedFile[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const found = await Promise.all(
    entries.map(async (entry): Promise<readonly SizedFile[]> => {
      const file = path.join(folder, entry.name);
      if (entry.isDirectory()) return filesBelow(file);
      if (!entry.isFile()) return [];
      const stats = await stat(file).catch(() => undefined);
      return [{ file, bytes: (stats?.blocks ?? 0) * 512 }];
    }),
  );
  return found.flat();
}

export function sumOfBytes(files: readonly { readonly bytes: number }[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The size of everything below a folder, bytes; 0 where there is none. Sparse files count what they take. */
export async function folderBytes(folder: string): Promise<number> {
  return sumOfBytes(await filesBelow(folder));
}

/** The names in a folder; none where there is no such folder. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
}

/** SHA-256 of a file's content, in hexadecimal. */
export async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
