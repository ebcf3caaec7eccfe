import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { Connection, Work } from '../machine.js';
import { SOCKETS } from './command-line.js';
import { guestConsole } from './guest-console.js';
import { socketsFolder } from './launch.js';

/** A starved shell under emulation takes its time. */
const ANSWER_MS = 60_000;

/**
 * What a live system that is not ours seldom has. A kernel that was not told of the serial port cannot be told later: there the
 * journal is written to it, which has the kernel's messages too. And a root shell on the virtio console, as the debian base has it
 * (src/bases/debian-recipe.ts). Both are transient units: nothing is written to the system itself.
 */
const SCRIPT = `run() { systemd-run --quiet --property=Restart=always --property=StartLimitIntervalSec=0 "$@"; }
if [ -c /dev/ttyS0 ] && ! grep -qw ttyS0 /sys/class/tty/console/active; then
  run --unit=nixproof-serial sh -c 'exec journalctl --follow --lines=all --output=short-monotonic >/dev/ttyS0'
fi
if [ -c /dev/hvc0 ]; then
  systemctl mask --runtime --now serial-getty@hvc0.service 2>/dev/null
  run --unit=nixproof-console --property=StandardInput=tty-force --property=StandardOutput=tty --property=StandardError=tty \\
    --property=TTYPath=/dev/hvc0 --property=OOMScoreAdjust=-1000 --property=WorkingDirectory=/root --setenv=HOME=/root --setenv=TERM=dumb sh
fi`;

/** Turns on both consoles of a live system, as far as it lets itself. */
export async function openConsoles(connection: Connection, { signal, progress }: Work): Promise<void> {
  const { exitCode, stderr } = await connection.exec(['sh', '-c', SCRIPT], { signal });
  if (exitCode !== 0) progress(`its consoles stay as they are: ${stderr.trim()}`);
}

/** Whether a root shell answers on the console of a machine whose folder this is. */
export async function hasConsole(folder: string, { signal }: Work): Promise<boolean> {
  try {
    const console = guestConsole(path.join(socketsFolder(folder), SOCKETS.console));
    return (await console.exec(['true'], { signal, timeoutMs: ANSWER_MS })).exitCode === 0;
  } catch (error) {
    if (error instanceof NixproofError) return false;
    throw error;
  }
}
