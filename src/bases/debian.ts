import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { cacheDirectory, type Layout } from '../host/paths.js';
import { withLock } from '../host/lock.js';
import type { Base, BaseImage } from './base.js';
import { buildDebian } from './debian-build.js';
import { DEBIAN_RECIPE, type DebianRecipe, fingerprintOf } from './debian-recipe.js';
import { isFinished, linkFiles, makeFolderWhole } from './store.js';

/**
 * Debian's live guest, made with mmdebstrap. Content-addressed: `bases/debian/<fingerprint>` in the home, linked from the same
 * name in the cache, where any number of homes share it.
 */
export function debianBase(layout: Layout, cache = cacheDirectory(), recipe: DebianRecipe = DEBIAN_RECIPE): Base {
  const fingerprint = fingerprintOf(recipe);
  const inHome = path.join(layout.bases, 'debian', fingerprint);
  const inCache = path.join(cache, 'bases', 'debian', fingerprint);
  const image: BaseImage = {
    name: 'debian',
    fingerprint,
    disk: { path: path.join(inHome, 'disk.qcow2'), format: 'qcow2' },
    boot: {
      kind: 'direct',
      kernel: path.join(inHome, 'vmlinuz'),
      initrd: path.join(inHome, 'initrd'),
      commandLine: recipe.commandLine,
    },
  };
  const locked = async (folder: string, work: Parameters<Base['prepare']>[0], fn: () => Promise<void>) => {
    await mkdir(path.dirname(folder), { recursive: true });
    const onWait = () => work.progress('another process prepares this base: waiting for it');
    await withLock(`${folder}.lock`, { signal: work.signal, onWait }, async () => {
      if (!(await isFinished(folder))) await fn();
    });
  };
  return {
    name: 'debian',
    fingerprint,
    async find() {
      return (await isFinished(inHome)) ? image : undefined;
    },
    async prepare(work) {
      if (await isFinished(inHome)) {
        work.progress(`base debian ${fingerprint} is there already: its recipe has not changed`);
        return image;
      }
      await locked(inCache, work, () => makeFolderWhole(inCache, (folder) => buildDebian(recipe, folder, work)));
      await locked(inHome, work, () => makeFolderWhole(inHome, (folder) => linkFiles(inCache, folder)));
      work.progress(`base debian ${fingerprint} is ready`);
      return image;
    },
  };
}
