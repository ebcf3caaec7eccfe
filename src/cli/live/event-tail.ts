import { open } from 'node:fs/promises';
import type { RecordedEvent } from '../../domain/event.js';
import { isErrno } from '../../host/files.js';

/**
 * A growing file read where the last look ended. A file that became shorter (a follower went back to its checkpoint) comes back
 * with the same bytes at the same offsets: nothing is read twice.
 */
export function createFileTail(file: string) {
  let offset = 0;
  /**
   * Gives whether there is such a file.
   * @param onChunk is waited for; the bytes are its until then
   */
  return async (onChunk: (chunk: Buffer) => void | Promise<void>): Promise<boolean> => {
    const handle = await open(file, 'r').catch((error: unknown) => {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    });
    if (!handle) return false;
    try {
      const buffer = Buffer.allocUnsafe(1 << 18);
      for (;;) {
        const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
        if (bytesRead === 0) return true;
        offset += bytesRead;
        await onChunk(buffer.subarray(0, bytesRead));
      }
    } finally {
      await handle.close();
    }
  };
}

/** The events of a growing `events.ndjson`, each once, when its line is complete. */
export function createEventTail(file: string) {
  const tail = createFileTail(file);
  let rest: Buffer = Buffer.alloc(0);
  return async (onEvent: (event: RecordedEvent) => void): Promise<void> => {
    await tail((chunk) => {
      const bytes = Buffer.concat([rest, chunk]);
      const end = bytes.lastIndexOf(0x0a);
      for (const line of bytes
        .subarray(0, end + 1)
        .toString('utf8')
        .split('\n')) {
        if (line !== '') onEvent(JSON.parse(line) as RecordedEvent);
      }
      rest = Buffer.from(bytes.subarray(end + 1));
    });
  };
}
