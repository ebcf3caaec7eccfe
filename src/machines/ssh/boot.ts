import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, messageOf, NixproofError } from '../../domain/error.js';
import type { ExistingMachine } from '../../domain/profile.js';
import { waitForConnection } from '../connection.js';
import type { Connection, Endpoint, Work } from '../machine.js';
import { bootId } from '../reboot.js';
import type { BootedSystem } from './record.js';

const POLL_MS = 300;

export interface Boot {
  readonly host: ExistingMachine;
  /** The key it must present; undefined where any will do. */
  readonly hostKey: string | undefined;
  /** The boot that was before: while it still answers, the machine has not rebooted. */
  readonly before?: string;
  /** What is booting, for people: `the installed system`. */
  readonly what: string;
}

/** A system that answers, and the connection it answered on. */
export interface Answer extends BootedSystem {
  readonly connection: Connection;
}

export function endpointOf({ address, port, user, key }: ExistingMachine, hostKey: string | undefined): Endpoint {
  return { host: address, port, user, keyFile: key, hostKey };
}

/**
 * Waits until the machine answers SSH, as another boot where one was before.
 * @throws NixproofError `MACHINE_NEVER_BOOTED`; `TRANSPORT_HOST_KEY` where another key than the pinned one is presented
 */
export async function waitForBoot(boot: Boot, work: Work): Promise<Answer> {
  const end = performance.now() + boot.host.bootTimeoutMs;
  for (;;) {
    const answer = await nextAnswer(boot, Math.max(0, end - performance.now()), work);
    if (answer && (boot.before === undefined || (answer.bootId !== '' && answer.bootId !== boot.before))) return answer;
    await answer?.connection[Symbol.asyncDispose]();
    if (performance.now() >= end) {
      const cause = answer ? new Error('the system of before still runs') : new Error('it broke off every time');
      throw neverBooted(boot, cause);
    }
    work.progress(`${boot.host.name}: going down`);
    await delay(POLL_MS, undefined, { signal: work.signal }).catch(() => work.signal.throwIfAborted());
  }
}

/** Undefined where the connection broke at once, as it does while a system goes down. */
async function nextAnswer(boot: Boot, deadlineMs: number, { signal, progress }: Work): Promise<Answer | undefined> {
  let hostKey = boot.hostKey ?? '';
  const connection = await waitForConnection(endpointOf(boot.host, boot.hostKey), {
    signal,
    deadlineMs,
    progress: (message) => progress(`${boot.host.name}: ${message}`),
    onHostKey: async (presented) => {
      hostKey = presented;
    },
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    if (hasCode(error, 'TRANSPORT_HOST_KEY')) throw error;
    throw neverBooted(boot, error);
  });
  try {
    return { connection, hostKey, bootId: await bootId(connection, signal) };
  } catch {
    await connection[Symbol.asyncDispose]();
    signal.throwIfAborted();
    return undefined;
  }
}

export function neverBooted({ host: { name, user, key }, what }: Pick<Boot, 'host' | 'what'>, cause: unknown) {
  return new NixproofError('MACHINE_NEVER_BOOTED', `${name}: ${what} never answered SSH: ${messageOf(cause)}`, {
    hint: `look at its screen: does it boot, does it start sshd, and does it let ${key} in as ${user}?`,
    details: { machine: name },
    cause,
  });
}
