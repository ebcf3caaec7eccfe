import { makeFolder } from '../host/files.js';
import path from 'node:path';
import type { Work } from '../domain/work.js';
import { withLock } from '../host/lock.js';
import { isFinished, linkFiles, makeFolderWhole } from './store.js';

/** The two folders of one base: the home's, linked from the cache's, where any number of homes share it. */
export interface SharedFolder {
  readonly inHome: string;
  readonly inCache: string;
}

/** Makes the folder in the cache unless it is there, by whichever process comes first, and links it into the home. */
export async function makeShared(
  { inHome, inCache }: SharedFolder,
  fill: (temporary: string) => Promise<void>,
  work: Work,
): Promise<void> {
  await once(inCache, work, () => makeFolderWhole(inCache, fill));
  await once(inHome, work, () => makeFolderWhole(inHome, (folder) => linkFiles(inCache, folder)));
}

async function once(folder: string, work: Work, make: () => Promise<void>): Promise<void> {
  await makeFolder(path.dirname(folder));
  const onWait = () => work.progress('another process prepares this base: waiting for it');
  await withLock(`${folder}.lock`, { signal: work.signal, onWait }, async () => {
    if (!(await isFinished(folder))) await make();
  });
}
