import { connect } from 'node:net';

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
