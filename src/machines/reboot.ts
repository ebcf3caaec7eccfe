import { setTimeout as delay } from 'node:timers/promises';
import { neverBooted } from './boot.js';
import type { Connection, Work } from './machine.js';

const SYNC_MS = 5 * 60_000;
const POLL_MS = 300;

/** The guest's own name for this boot (random(4)): another one after every reboot. */
export async function bootId(connection: Connection, signal: AbortSignal): Promise<string> {
  const { stdout } = await connection.exec(['cat', '/proc/sys/kernel/random/boot_id'], { signal });
  return stdout.trim();
}

/** A system without systemd has `reboot`; whichever it is may end the connection before it answers. */
export async function askForReboot(connection: Connection, { signal, progress }: Work): Promise<void> {
  progress('rebooting');
  await connection.exec(['sh', '-c', 'systemctl reboot || reboot'], { signal }).catch(() => signal.throwIfAborted());
}

/**
 * Waits until a machine that was asked to reboot answers as another boot than `before`.
 * @param boot waits for an answer, so many milliseconds at most
 * @throws NixproofError `MACHINE_NEVER_BOOTED`
 */
export async function waitForReboot(
  boot: (deadlineMs: number) => Promise<Connection>,
  expected: { readonly before: string; readonly deadlineMs: number; readonly consoleLog: string },
  { signal }: Work,
): Promise<Connection> {
  const { before, deadlineMs, consoleLog } = expected;
  const end = performance.now() + deadlineMs;
  for (;;) {
    const next = await boot(Math.max(0, end - performance.now()));
    // The old system answers until its sshd is stopped.
    const now = await bootId(next, signal).catch(() => before);
    if (now !== '' && now !== before) return next;
    await next[Symbol.asyncDispose]();
    if (performance.now() > end) throw await neverBooted('the rebooted system', consoleLog, new Error('no reboot'));
    await delay(POLL_MS);
  }
}

/** The live system is switched off, not shut down: what it holds back from its disks would be lost. */
export async function syncDisks(connect: () => Promise<Connection>, work: Work): Promise<void> {
  try {
    await (await connect()).exec(['sync'], { signal: work.signal, timeoutMs: SYNC_MS });
  } catch {
    work.signal.throwIfAborted();
    work.progress('the live system did not answer: its installed disk is used as it is');
  }
}
