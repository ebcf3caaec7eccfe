import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { CONSOLE_HEAD_BYTES } from '../../../domain/console.js';

/** Maximum of the file. When it is reached, what is between the head and the newest bytes is dropped. */
const MAX_BYTES = 2 * CONSOLE_HEAD_BYTES;
/** The newest bytes that stay then. */
const TAIL_BYTES = CONSOLE_HEAD_BYTES / 2;
const NOTICE_BYTES = 200;

export interface ConsoleLog extends Disposable {
  write(bytes: Buffer): void;
}

/**
 * Appends a guest's serial console to a file of bounded size. A line in the file says where bytes
 * were dropped, and how many: behind its head, or where the host's disk had no room for them.
 */
export function openConsoleLog(file: string): ConsoleLog {
  const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT, 0o600);
  let size = fstatSync(descriptor).size;
  /** Bytes that the line behind the head is about. */
  let cutBytes = noticeIn(read(descriptor, CONSOLE_HEAD_BYTES, NOTICE_BYTES));
  /** Bytes that no line is about yet. */
  let lostBytes = 0;

  const put = (bytes: Buffer) => {
    for (let done = 0; done < bytes.length;) {
      const written = writeSync(descriptor, bytes, done, bytes.length - done, size);
      done += written;
      size += written;
    }
  };
  const cut = () => {
    const tail = read(descriptor, size - TAIL_BYTES, TAIL_BYTES);
    cutBytes += size - CONSOLE_HEAD_BYTES - tail.length;
    size = CONSOLE_HEAD_BYTES;
    put(notice(cutBytes, `its log has at most ${MAX_BYTES / 2 ** 20} MiB`));
    put(tail);
    // Last: should this process be killed before, nothing is missing without a notice.
    ftruncateSync(descriptor, size);
  };
  return {
    write(bytes) {
      try {
        if (lostBytes > 0) put(notice(lostBytes, 'the disk of the host was full'));
        lostBytes = 0;
        put(bytes);
        if (size > MAX_BYTES) cut();
      } catch {
        // The guest does not wait for room.
        lostBytes += bytes.length;
      }
    },
    [Symbol.dispose]: () => closeSync(descriptor),
  };
}

function read(descriptor: number, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(descriptor, bytes, 0, length, position));
}

function notice(bytes: number, why: string): Buffer {
  return Buffer.from(`\n[nixproof: ${bytes} bytes of the console were dropped here: ${why}]\n`);
}

/** The bytes that a notice is about; 0 where there is none. */
function noticeIn(bytes: Buffer): number {
  return Number(/^\n\[nixproof: (\d{1,15}) bytes /.exec(bytes.toString('latin1'))?.[1] ?? 0);
}
