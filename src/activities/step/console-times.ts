import { appendFile, stat } from 'node:fs/promises';
import type { Machine } from '../../machines/machine.js';
import type { RunFiles } from '../../records/artifacts.js';

const EVERY_MS = 1000;

/**
 * Notes once a second how far the serial console has come, `{offset, at}` a line: what stands before `offset` in console.log was
 * there at `at`, milliseconds since the epoch. Whoever works with the machine next goes on with the same file.
 * @returns what ends it
 */
export function noteConsoleTimes({ consoleLog }: Machine, files: RunFiles): () => Promise<void> {
  let seen = 0;
  const note = async (): Promise<void> => {
    if (consoleLog === undefined) return;
    const offset = await stat(consoleLog).then(
      ({ size }) => size,
      () => seen,
    );
    if (offset === seen) return;
    seen = offset;
    // A courtesy: where it cannot be written, the run has other troubles.
    await appendFile(files.consoleTimes, `${JSON.stringify({ offset, at: Date.now() })}\n`).catch(() => undefined);
  };
  let running: Promise<void> | undefined;
  const tick = () => {
    // One at a time: on a disk that takes nothing they would pile up.
    running ??= note().finally(() => (running = undefined));
    return running;
  };
  void tick();
  const timer = setInterval(() => void tick(), EVERY_MS);
  return async () => {
    clearInterval(timer);
    await running;
    await note();
  };
}
