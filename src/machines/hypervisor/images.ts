import path from 'node:path';
import { runCommand } from '../../host/process.js';

/** A new image whose content is that of another until it is written to. */
export async function createOverlay(
  file: string,
  backing: string,
  format: 'qcow2' | 'raw',
  signal: AbortSignal,
): Promise<void> {
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', format, '-b', path.resolve(backing), file], {
    signal,
  });
}

/** A new empty image. */
export async function createBlank(file: string, bytes: number, signal: AbortSignal): Promise<void> {
  await runCommand('qemu-img', ['create', '-q', '-f', 'qcow2', file, String(bytes)], { signal });
}
