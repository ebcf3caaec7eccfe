import { chmod, lstat, readdir, rm } from 'node:fs/promises';
import { isErrno } from '../files.js';

/**
 * Removes a folder with all that is in it, or a file; does nothing where there is none. Folders of
 * our own that are read-only are made writable first, as a normal user has to. Links are removed,
 * never followed.
 * @throws the file system's error where something cannot be removed
 */
export async function removeTree(place: string): Promise<void> {
  const remove = () => rm(place, { recursive: true, force: true });
  try {
    await remove();
  } catch (error) {
    if (!isErrno(error, 'EACCES') && !isErrno(error, 'EPERM')) throw error;
    await openUp(Buffer.from(place));
    await remove();
  }
}

const OWNER_ALL = 0o700;

async function openUp(folder: Buffer): Promise<void> {
  const found = await lstat(folder);
  if (!found.isDirectory()) return;
  // A folder of somebody else's stays as it is: that it cannot be removed is said by the second
  // removal.
  if ((found.mode & OWNER_ALL) !== OWNER_ALL)
    await chmod(folder, (found.mode & 0o7777) | OWNER_ALL).catch(() => undefined);
  const names = await readdir(folder, { encoding: 'buffer' }).catch(() => []);
  for (const name of names) await openUp(Buffer.concat([folder, Buffer.from('/'), name]));
}
