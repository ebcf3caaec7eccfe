import { open, rename, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { isErrno, makeFolder } from '../../host/files.js';

/** A log that has grown beyond this is put aside as `NAME.1` when it is opened next. */
const ROTATE_BYTES = 4 * 2 ** 20;
const TAIL_BYTES = 16 * 1024;

/** A log file opened for appending, and where what is written now begins. */
export interface OpenLog {
  readonly handle: FileHandle;
  readonly offset: number;
}

export async function openLog(file: string): Promise<OpenLog> {
  await makeFolder(path.dirname(file));
  const size = await sizeOf(file);
  const rotate = size > ROTATE_BYTES;
  if (rotate) await rename(file, `${file}.1`);
  return { handle: await open(file, 'a', 0o600), offset: rotate ? 0 : size };
}

/** The last lines of a log, of those written since `offset`; empty where there is no such file. */
export async function logTail(file: string, { lines = 12, offset = 0 } = {}): Promise<string> {
  const size = await sizeOf(file);
  const start = Math.max(offset, size - TAIL_BYTES);
  if (size <= start) return '';
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size - start), 0, size - start, start);
    return buffer.toString('utf8', 0, bytesRead).trimEnd().split('\n').slice(-lines).join('\n');
  } finally {
    await handle.close();
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return 0;
    throw error;
  }
}
