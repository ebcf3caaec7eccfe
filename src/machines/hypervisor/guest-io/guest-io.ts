import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { NixproofError, messageOf } from '../../../domain/error.js';
import { passFence } from '../../../host/fence.js';
import { readJson, writeJson } from '../../../host/files.js';
import { withLock } from '../../../host/lock.js';
import { identify, isAlive, processesWithEnvironment, terminate, type ProcessIdentity } from '../../../host/process.js';
import { leastEnvironment } from '../../../host/least-environment.js';
import type { GuestIo } from './sockets.js';

/** The process beside a machine's QEMU, as it is kept on disk. */
interface GuestIoRecord {
  readonly identity: ProcessIdentity;
  readonly io: GuestIo;
  readonly marks: Readonly<Record<string, string>>;
}

/** Without its suffix, which is another one where the sources are run. */
const PROGRAM = fileURLToPath(new URL('./process', import.meta.url));
/** Its heap, MiB: it holds a few packets. */
const HEAP_MIB = 48;
const START_MS = 45_000;
const KILL_MS = 3000;
/** In its environment: the folder of the machine that it belongs to. */
const MARK = 'NIXPROOF_GUEST_IO';

const recordFile = (folder: string) => path.join(folder, 'guest-io.json');
const logFile = (folder: string) => path.join(folder, 'guest-io.log');

/**
 * Starts the process that connects to a QEMU's sockets, and resolves when it has. It outlives this
 * process, and ends when QEMU does.
 * @param marks variables of its environment that say whose it is
 * @throws NixproofError `MACHINE_GUEST_IO`
 */
export async function startGuestIo(
  folder: string,
  io: GuestIo,
  marks: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  // One that was started and never got on record would have QEMU's sockets.
  await endGuestIo(folder);
  await passFence();
  const output = await open(logFile(folder), 'w', 0o600);
  let identity: ProcessIdentity | undefined;
  try {
    const child = spawn(
      process.execPath,
      [...process.execArgv, `--max-old-space-size=${HEAP_MIB}`, PROGRAM, JSON.stringify(io)],
      {
        env: leastEnvironment({ ...marks, [MARK]: path.resolve(folder) }),
        detached: true,
        stdio: ['ignore', 'pipe', output.fd],
      },
    );
    child.unref();
    const connected = connects(child, AbortSignal.any([signal, AbortSignal.timeout(START_MS)]));
    // It may end while it is identified.
    connected.catch(() => undefined);
    identity = child.pid === undefined ? undefined : await identify(child.pid);
    await connected;
    if (!identity) throw new Error('it ended');
    await writeJson(recordFile(folder), { identity, io, marks } satisfies GuestIoRecord);
  } catch (error) {
    if (identity) await terminate(identity, KILL_MS);
    signal.throwIfAborted();
    const log = (await readFile(logFile(folder), 'utf8').catch(() => '')).trim();
    throw new NixproofError('MACHINE_GUEST_IO', `the guest's packet filter did not connect: ${messageOf(error)}`, {
      hint: `read ${logFile(folder)}; QEMU needs its filter-redirector`,
      details: { log: log.split('\n').slice(-10) },
      cause: error,
    });
  } finally {
    await output.close();
  }
}

/** Resolves when the process says that it is connected. */
async function connects(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const stdout = child.stdout as Readable;
  const ended = new Promise<never>((_resolve, reject) => {
    child.once('error', reject).once('exit', () => reject(new Error('it ended')));
  });
  try {
    await Promise.race([once(stdout, 'data', { signal }), ended]);
  } finally {
    stdout.destroy();
  }
}

/** Ends the process beside a machine's QEMU, also one that never got on record. */
export async function endGuestIo(folder: string): Promise<void> {
  const processes = await processesWithEnvironment(MARK, path.resolve(folder));
  await Promise.all(processes.map((identity) => terminate(identity, KILL_MS)));
}

/** Whether the process beside a machine's QEMU is there. */
export async function hasGuestIo(folder: string): Promise<boolean> {
  const record = await readJson<GuestIoRecord>(recordFile(folder));
  return record !== undefined && (await isAlive(record.identity));
}

/**
 * Starts it again as it was started before; QEMU takes a new one.
 * @throws NixproofError `MACHINE_GUEST_IO`
 */
export async function restartGuestIo(folder: string, signal: AbortSignal): Promise<void> {
  const record = await readJson<GuestIoRecord>(recordFile(folder));
  if (!record) throw new NixproofError('MACHINE_GUEST_IO', 'the machine was made without a packet filter');
  await startGuestIo(folder, record.io, record.marks, signal);
}

/** Runs `body` while no other process stops the machine's guest or changes what is beside it. */
export async function withGuestLock<T>(folder: string, signal: AbortSignal, body: () => Promise<T>): Promise<T> {
  return withLock(path.join(folder, 'guest.lock'), { signal }, body);
}
