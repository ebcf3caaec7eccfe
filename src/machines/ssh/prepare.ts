import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import ssh2 from 'ssh2';
import { NixproofError, messageOf } from '../../domain/error.js';
import type { ExistingMachine } from '../../domain/profile.js';
import type { Layout } from '../../host/paths.js';
import type { Connection, Work } from '../machine.js';
import { neverBooted, waitForBoot, type Answer } from './boot.js';
import { runPowerCommand } from './commands.js';
import { expectedHostKey, namingThePin, rememberHostKey } from './host-key.js';

const READY_POLL_MS = 2000;
const WHAT = 'the pristine system';

/**
 * Ends what an earlier run may have left running, removes its files and marks the machine as this run's. Exit status 3: there
 * was something, though the machine was reset. Its deployed tree needs no word: the next one takes its place as a whole.
 */
const TAKE_OVER = `folder=/var/lib/nixproof
if [ -e "$folder" ]; then
  [ "$2" = reset ] && exit 3
  systemctl kill --signal=SIGKILL 'nixproof-install-*' 2>/dev/null
  for file in "$folder"/attempt-*/pid "$folder"/heal-*/pid "$folder"/heal-*/undo/pid; do
    pid=$(cat "$file" 2>/dev/null) || continue
    grep -q nixproof-run "/proc/$pid/cmdline" 2>/dev/null && kill -s KILL -- "-$pid"
  done
  rm -rf "$folder"
fi
mkdir -p "$folder" && echo "$1" >"$folder/machine"`;

/**
 * Makes a leased machine ready for its run: reset, start, ready, SSH under the expected host key, nothing left of an earlier
 * run. May be done again from any point of it.
 * @throws NixproofError `MACHINE_COMMAND_FAILED`, `MACHINE_NEVER_BOOTED`, `MACHINE_NOT_PRISTINE`, `TRANSPORT_HOST_KEY`
 */
export async function prepareHost(layout: Layout, run: string, host: ExistingMachine, work: Work): Promise<Answer> {
  const occasion = { run, boot: 'live' } as const;
  await runPowerCommand(host, 'reset', occasion, work);
  await runPowerCommand(host, 'start', occasion, work);
  await waitUntilReady(host, run, work);
  const hostKey = await expectedHostKey(layout, host);
  const answer = await waitForBoot({ host, hostKey, what: WHAT }, work).catch((error: unknown) => {
    throw namingThePin(layout, host, error);
  });
  try {
    await takeOver(host, run, answer.connection, work);
    // Only now: what answers before may be the system of before.
    await rememberHostKey(layout, host, answer.hostKey);
    return answer;
  } catch (error) {
    await answer.connection[Symbol.asyncDispose]();
    throw error;
  }
}

/** A key that cannot log in is told before anything is reset. @throws NixproofError `CONFIG_KEY_MISSING`, `CONFIG_KEY_UNUSABLE` */
export async function requireKey({ name, key }: ExistingMachine): Promise<void> {
  const text = await readFile(key).catch((cause: unknown) => {
    throw new NixproofError('CONFIG_KEY_MISSING', `machine ${name}: ${key} cannot be read on this host`, {
      hint: 'put the private key there; a worker on another host needs it at the same path',
      details: { machine: name, key },
      cause,
    });
  });
  const parsed = ssh2.utils.parseKey(text);
  if (!(parsed instanceof Error)) return;
  throw new NixproofError('CONFIG_KEY_UNUSABLE', `machine ${name}: ${key} is no usable key: ${parsed.message}`, {
    hint: 'use a private key in OpenSSH’s format without a passphrase: `ssh-keygen -t ed25519 -N "" -f FILE`',
    details: { machine: name, key },
  });
}

/** Asks until the ready command exits 0. */
async function waitUntilReady(host: ExistingMachine, run: string, work: Work): Promise<void> {
  const end = performance.now() + host.bootTimeoutMs;
  for (;;) {
    try {
      await runPowerCommand(host, 'ready', { run, boot: 'live' }, work);
      return;
    } catch (error) {
      work.signal.throwIfAborted();
      if (performance.now() >= end) throw neverBooted({ host, what: WHAT }, new Error(messageOf(error)));
    }
    await delay(READY_POLL_MS, undefined, { signal: work.signal }).catch(() => work.signal.throwIfAborted());
  }
}

async function takeOver(host: ExistingMachine, run: string, connection: Connection, { signal }: Work): Promise<void> {
  const kind = host.commands.reset === undefined ? 'kept' : 'reset';
  const { exitCode, stderr } = await connection.exec(['sh', '-c', TAKE_OVER, 'sh', run, kind], { signal });
  if (exitCode === 3) {
    throw new NixproofError('MACHINE_NOT_PRISTINE', `${host.name} was reset, and still has an earlier run's files`, {
      hint: `does machines.${host.name}.reset end only when the old system is gone?`,
      details: { machine: host.name },
    });
  }
  if (exitCode === 0) return;
  throw new NixproofError('MACHINE_WRITE_FAILED', `${host.name}: cannot write /var/lib/nixproof: ${stderr.trim()}`, {
    hint: `log in as root, or let ${host.user} write there`,
  });
}
