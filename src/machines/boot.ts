import { open, stat } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { hasCode, messageOf, NixproofError } from '../domain/error.js';
import { isFull } from '../host/disk-space.js';
import { waitForConnection } from './connection.js';
import type { Connection, Endpoint, Work } from './machine.js';
import type { Accelerator } from '../domain/profile.js';
import { waitForBanner } from './banner.js';

const MINUTE_MS = 60_000;

/** How long a system may take from power-on to its first SSH login. */
export const BOOT_DEADLINE_MS: Readonly<Record<Accelerator, number>> = {
  kvm: 5 * MINUTE_MS,
  hvf: 5 * MINUTE_MS,
  tcg: 10 * MINUTE_MS,
};

/** How often people are told that a system still boots. */
const PROGRESS_MS = 4000;
/** A kernel's panic prints some thirty lines after the one that says why. */
const CONSOLE_TAIL_LINES = 80;
/** A serial console may say a lot; its end is enough. */
const CONSOLE_TAIL_BYTES = 64 * 1024;

/** How a system that boots keeps one waiting: without SSH, its serial console silent for so long; or with one that refuses the key. */
export type Waiting = { readonly kind: 'silent'; readonly quietMs: number } | { readonly kind: 'refused' };

export interface Boot {
  readonly endpoint: Endpoint;
  /** Whether the machine still runs: what tells a slow boot from a dead machine. */
  readonly isAlive: () => Promise<boolean>;
  readonly consoleLog: string;
  readonly deadlineMs: number;
  /** Whether it starts with its firmware; a clone is up already. */
  readonly fromPowerOn: boolean;
  /** What is booting, for people: `the installed system`. */
  readonly what: string;
  readonly onHostKey?: (hostKey: string) => Promise<void>;
  /** Called again and again while there is no SSH, or one that refuses the key: the moment to help it. */
  readonly onWait?: (waiting: Waiting) => Promise<void>;
}

/**
 * Waits until a system that was just started answers SSH.
 * @throws NixproofError `MACHINE_NEVER_BOOTED` with the console's last lines in its details; `TRANSPORT_HOST_KEY` where another
 * key than the pinned one is presented
 */
export async function waitForBoot(boot: Boot, { signal, progress }: Work): Promise<Connection> {
  const end = performance.now() + boot.deadlineMs;
  try {
    if (boot.fromPowerOn) await powerOn(boot, { signal, progress });
    return await waitForConnection(boot.endpoint, {
      signal,
      deadlineMs: Math.max(0, end - performance.now()),
      isAlive: () => boot.isAlive(),
      progress: (message) => progress(`${boot.what}: ${message}`),
      ...(boot.onHostKey ? { onHostKey: boot.onHostKey } : {}),
      onRefused: async () => boot.onWait?.({ kind: 'refused' }),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (isFull(error) || hasCode(error, 'TRANSPORT_HOST_KEY')) throw error;
    throw await neverBooted(boot.what, boot.consoleLog, error);
  }
}

async function powerOn(boot: Boot, { signal, progress }: Work): Promise<void> {
  let toldMs = 0;
  const answered = await waitForBanner(boot.endpoint, boot.deadlineMs, {
    signal,
    stop: async () => !(await boot.isAlive()),
    onAttempt: async (waitedMs) => {
      await boot.onWait?.({ kind: 'silent', quietMs: Math.min(waitedMs, await quietFor(boot.consoleLog)) });
      if (waitedMs - toldMs < PROGRESS_MS) return;
      toldMs = waitedMs;
      progress(`${boot.what}: booting (${Math.round(waitedMs / 1000)} s)`);
    },
  });
  if (answered) return;
  if (!(await boot.isAlive())) throw new NixproofError('MACHINE_GONE', 'the machine stopped before it answered SSH');
  throw new NixproofError('TRANSPORT_TIMEOUT', `no SSH server within ${Math.round(boot.deadlineMs / 1000)} s`);
}

/** How long ago the serial console said something, milliseconds. */
async function quietFor(consoleLog: string): Promise<number> {
  return stat(consoleLog).then(
    ({ size, mtimeMs }) => (size === 0 ? Infinity : Date.now() - mtimeMs),
    () => Infinity,
  );
}

export async function neverBooted(what: string, consoleLog: string, cause: unknown): Promise<NixproofError> {
  const tail = await consoleTail(consoleLog);
  return new NixproofError('MACHINE_NEVER_BOOTED', `${what} never answered SSH: ${messageOf(cause)}`, {
    hint:
      tail.length === 0
        ? 'its serial console stayed silent: boot with console=ttyS0 to see why'
        : `read the end of its serial console in ${consoleLog}`,
    details: { console: tail, consoleLog },
    cause,
  });
}

/** The last lines a machine wrote to its serial console. Guest text: hostile. */
export async function consoleTail(consoleLog: string): Promise<readonly string[]> {
  const handle = await open(consoleLog).catch(() => undefined);
  if (!handle) return [];
  let text: string;
  try {
    const { size } = await handle.stat();
    const buffer = Buffer.alloc(CONSOLE_TAIL_BYTES);
    const { bytesRead } = await handle.read({ buffer, position: Math.max(0, size - CONSOLE_TAIL_BYTES) });
    text = buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
  const lines = text.split(/\r?\n/).map((line) => line.trimEnd());
  return lines.filter((line) => line !== '').slice(-CONSOLE_TAIL_LINES);
}

/**
 * What a guest hears on waking: the time in $1, and randomness on its standard input. What is written to /dev/urandom is mixed in,
 * but used only at the next reseeding, which RNDRESEEDCRNG (0x5207, random(4)) asks for; a shell cannot.
 */
const WAKE = `date -u -s "@$1" >/dev/null && cat >/dev/urandom || exit 1
perl -e 'open my $f, "+<", "/dev/urandom" or exit 1; ioctl $f, 0x5207, 0 or exit 1' 2>/dev/null ||
python3 -c 'import fcntl; fcntl.ioctl(open("/dev/urandom", "wb"), 0x5207)' 2>/dev/null || :`;

/**
 * What a guest must be told when it wakes from a frozen state: the time, which stood still, or TLS, tar and make complain; and
 * some randomness, for its clones woke with the same.
 */
export async function wake(connection: Connection, signal: AbortSignal): Promise<void> {
  const seconds = (Date.now() / 1000).toFixed(3);
  const result = await connection.exec(['sh', '-c', WAKE, 'sh', seconds], { input: randomBytes(64), signal });
  if (result.exitCode === 0) return;
  throw new NixproofError('MACHINE_CLOCK', `the guest's clock could not be set: ${result.stderr.trim()}`);
}
