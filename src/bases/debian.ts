import path from 'node:path';
import { cacheDirectory, type Layout } from '../host/paths.js';
import type { Base, BaseImage } from './base.js';
import { buildDebian } from './debian-build.js';
import { DEBIAN_RECIPE, type DebianRecipe, fingerprintOf } from './debian-recipe.js';
import { makeShared } from './shared.js';
import { isFinished } from './store.js';

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
  return {
    name: 'debian',
    async find() {
      return (await isFinished(inHome)) ? image : undefined;
    },
    async prepare(work) {
      if (await isFinished(inHome)) {
        work.progress(`base debian ${fingerprint} is there already: its recipe has not changed`);
        return image;
      }
      await makeShared({ inHome, inCache }, (folder) => buildDebian(recipe, folder, work), work);
      work.progress(`base debian ${fingerprint} is ready`);
      return image;
    },
  };
}
