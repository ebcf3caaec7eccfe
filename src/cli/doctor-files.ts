import { stat } from 'node:fs/promises';
import { cacheDirectory, type Layout } from '../host/paths.js';

/** The bits of a folder's mode that let other users in. */
const OTHERS = 0o077;

/**
 * Folders of ours that other users of this host could look into: images with memory, logs and keys
 * are in them.
 */
export async function openFolders(layout: Layout): Promise<readonly string[]> {
  const folders = [layout.home, layout.keys, layout.stack, cacheDirectory()];
  const modes = await Promise.all(
    folders.map(async (folder) => (await stat(folder).catch(() => undefined))?.mode ?? 0),
  );
  return folders.filter((_, index) => ((modes[index] ?? 0) & OTHERS) !== 0);
}
