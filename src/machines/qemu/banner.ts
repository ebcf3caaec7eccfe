import { waitUntil } from '../../host/process.js';
import { saysBanner } from '../banner.js';

/**
 * Waits until an SSH server says its banner (RFC 4253, 4.2) at a port of this host; tells whether it did before the deadline.
 * QEMU accepts connections for a guest that does not listen yet and keeps them waiting, so an SSH client would wait for the
 * whole of its handshake's deadline.
 */
export async function waitForBanner(
  port: number,
  deadlineMs: number,
  options: {
    readonly signal: AbortSignal;
    readonly stop: () => Promise<boolean>;
    readonly onAttempt: (waitedMs: number) => Promise<void>;
  },
): Promise<boolean> {
  const started = performance.now();
  let seen = false;
  await waitUntil(
    async () => {
      seen = await saysBanner('127.0.0.1', port);
      if (!seen) await options.onAttempt(performance.now() - started);
      return seen || (await options.stop());
    },
    deadlineMs,
    { everyMs: 100, signal: options.signal },
  );
  return seen;
}
