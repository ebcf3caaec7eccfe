import { createHash } from 'node:crypto';
import { lstat, readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import tar from 'tar-fs';
import { sha256Of } from '../host/files.js';

/** What its types do not know yet: a link that leads out of the folder is nothing to refuse here. */
const LINKS_AS_THEY_ARE = { validateSymlinks: false } as tar.ExtractOptions;

/** Copies a folder as it is, links as links; sockets, pipes and devices are no configuration. @param without a folder to leave out */
export async function copyFolder(from: string, to: string, without: string): Promise<void> {
  // Unlike `cp` of Node, it copies into a folder below the one that is copied.
  const packed = tar.pack(from, { strict: false, ignore: (name) => name === without });
  await pipeline(packed, tar.extract(to, LINKS_AS_THEY_ARE));
}

/** SHA-256 of the list of everything in a folder: its name, whether it may be executed, and its content's own sum. */
export async function sumOfFolder(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const names = entries.map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name))).sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(`${JSON.stringify([name, await kindOf(path.join(folder, name))])}\n`);
  return hash.digest('hex');
}

async function kindOf(file: string): Promise<string> {
  const found = await lstat(file);
  if (found.isSymbolicLink()) return `link ${await readlink(file)}`;
  if (found.isDirectory()) return 'folder';
  return `${(found.mode & 0o111) === 0 ? 'file' : 'program'} ${await sha256Of(file)}`;
}
