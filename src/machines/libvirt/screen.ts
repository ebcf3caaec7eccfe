import { randomBytes } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, writeWhole } from '../../host/files.js';
import type { Screen } from '../machine.js';
import type { DomainIdentity } from './identity.js';
import { pngOfPpm } from '../png.js';
import type { Virsh } from './virsh.js';

/** The machine's VGA screen (virsh screenshot). Which format it comes in is up to libvirt: PPM, or PNG. */
export function guestScreen(virsh: Virsh, { uuid }: DomainIdentity): Screen {
  return {
    async screenshot(file, { signal }) {
      const target = path.resolve(file);
      await makeFolder(path.dirname(target));
      const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`;
      try {
        await virsh.run(['screenshot', uuid, temporary], { signal });
        const image = await readFile(temporary);
        if (image.subarray(0, 2).toString('latin1') === 'P6') await writeWhole(target, pngOfPpm(image));
        else await rename(temporary, target);
      } finally {
        await rm(temporary, { force: true });
      }
    },
  };
}
