import { open } from 'node:fs/promises';
import { isErrno } from '../../src/host/files.js';

/** Leaves a disk no byte. */
export async function fill(file: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (let size = 1024 * 1024; size > 0; size = Math.floor(size / 2)) {
      try {
        for (;;) await handle.appendFile(Buffer.alloc(size));
      } catch (error) {
        if (!isErrno(error, 'ENOSPC')) throw error;
      }
    }
  } finally {
    await handle.close();
  }
}
