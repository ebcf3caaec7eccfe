import { open, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { vi } from 'vitest';

/** One write of a part of a buffer to a place in a file. */
type Write = (bytes: Uint8Array, from: number, length: number, at: number) => Promise<unknown>;

/** From here on all writes to places in files go through this, until the mocks are restored. */
export async function onFileWrites(instead: (write: Write) => Write): Promise<void> {
  const handle = await open(tmpdir(), 'r');
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const original = Reflect.get(prototype, 'write') as Write;
  vi.spyOn(prototype, 'write').mockImplementation(function (this: FileHandle, ...args: unknown[]) {
    return instead((...given) => original.apply(this, given))(...(args as Parameters<Write>)) as never;
  });
}
