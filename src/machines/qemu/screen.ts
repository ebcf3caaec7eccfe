import { randomBytes } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Screen } from '../machine.js';
import { connectQmp } from './qmp.js';
import { makeFolder } from '../../host/files.js';

/** The machine's VGA screen (QMP `screendump`; as PNG since QEMU 7.1). QEMU writes the file itself. */
export function guestScreen(qmpSocket: string): Screen {
  return {
    async screenshot(file, { signal }) {
      const target = path.resolve(file);
      await makeFolder(path.dirname(target));
      const temporary = `${target}.${randomBytes(4).toString('hex')}.tmp`;
      try {
        signal.throwIfAborted();
        await using qmp = await connectQmp(qmpSocket);
        await qmp.execute('screendump', { filename: temporary, format: 'png' });
        await rename(temporary, target);
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
  };
}
