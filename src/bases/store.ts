import { randomBytes } from 'node:crypto';
import { link, mkdir, readdir, rename, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, isErrno, readIfThere } from '../host/files.js';

/** A finished folder has it; it is written last. */
export const MANIFEST = 'manifest.json';

export async function isFinished(folder: string): Promise<boolean> {
  return (await readIfThere(path.join(folder, MANIFEST))) !== undefined;
}

/**
 * Makes a folder whole: `fill` works under a temporary name beside it, and only a filled one gets the name. Leftovers of makers
 * that were killed are removed first, so the caller holds a lock.
 */
export async function makeFolderWhole(folder: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  const parent = path.dirname(folder);
  const prefix = `.${path.basename(folder)}.`;
  await makeFolder(parent);
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) await rm(path.join(parent, name), { recursive: true, force: true });
  }
  const temporary = path.join(parent, `${prefix}${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(temporary, { mode: 0o700 });
    await fill(temporary);
    await rm(folder, { recursive: true, force: true });
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/** The same files under another folder without copying: hard links, or symbolic ones on another file system. */
export async function linkFiles(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    const [source, target] = [path.join(from, name), path.join(to, name)];
    await link(source, target).catch(async (error: unknown) => {
      if (!isErrno(error, 'EXDEV') && !isErrno(error, 'EPERM')) throw error;
      await symlink(source, target);
    });
  }
}
