import { connect } from 'node:net';
import { waitUntil } from '../host/process.js';

/** A machine that is up says its banner in a fraction of this, even under emulation on a loaded host. */
const ATTEMPT_MS = 3000;

/** Whether an SSH server says its banner (RFC 4253, 4.2) there within a few seconds. */
export function saysBanner(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, host);
    const settle = (seen: boolean) => {
      socket.destroy();
      resolve(seen);
    };
    socket.setTimeout(ATTEMPT_MS, () => settle(false));
    socket.once('data', (data) => settle(data.toString('latin1').startsWith('SSH-')));
    socket.once('error', () => settle(false)).once('close', () => settle(false));
  });
}

/**
 * Waits until an SSH server says its banner (RFC 4253, 4.2); tells whether it did before the deadline.
 * QEMU accepts connections for a guest that does not listen yet and keeps them waiting, so an SSH client would wait for the
 * whole of its handshake's deadline.
 */
export async function waitForBanner(
  { host, port }: { readonly host: string; readonly port: number },
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
      seen = await saysBanner(host, port);
      if (!seen) await options.onAttempt(performance.now() - started);
      return seen || (await options.stop());
    },
    deadlineMs,
    { everyMs: 100, signal: options.signal },
  );
  return seen;
}
