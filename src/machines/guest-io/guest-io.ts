import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { NixproofError, messageOf } from '../../domain/error.js';
import { passFence } from '../../host/fence.js';
import { readJson, writeJson } from '../../host/files.js';
import { withLock } from '../../host/lock.js';
import { identify, isAlive, terminate, type ProcessIdentity } from '../../host/process.js';
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
const KILL_MS = 3000;

const recordFile = (folder: string) => path.join(folder, 'guest-io.json');
const logFile = (folder: string) => path.join(folder, 'guest-io.log');

/**
 * Starts the process that connects to a QEMU's sockets, and resolves when it has. It outlives this
 * process, and ends when QEMU does.
 * @param marks its environment: what tells whose it is
 * @throws NixproofError `MACHINE_GUEST_IO`
 */
export async function startGuestIo(
  folder: string,
  io: GuestIo,
  marks: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  await passFence();
  const output = await open(logFile(folder), 'w', 0o600);
  const child = spawn(
    process.execPath,
    [...process.execArgv, `--max-old-space-size=${HEAP_MIB}`, PROGRAM, JSON.stringify(io)],
    { env: { ...marks }, detached: true, stdio: ['ignore', 'pipe', output.fd] },
  );
  child.unref();
  const stdout = child.stdout as Readable;
  await output.close();
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  try {
    await Promise.race([
      once(stdout, 'data', { signal }),
      once(child, 'exit').then(() => Promise.reject(new Error('it ended'))),
    ]);
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
    stdout.destroy();
  }
}

/** Ends it where there is one. */
export async function endGuestIo(folder: string): Promise<void> {
  const record = await readJson<GuestIoRecord>(recordFile(folder));
  if (record) await terminate(record.identity, KILL_MS);
}

/**
 * Starts it again where it has ended before its QEMU. Does nothing for a machine that has none.
 * @param around makes QEMU take another one while its guest stands still
 */
export async function keepGuestIo(
  folder: string,
  signal: AbortSignal,
  around: (start: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const ended = async () => {
    const record = await readJson<GuestIoRecord>(recordFile(folder));
    return record && !(await isAlive(record.identity)) ? record : undefined;
  };
  if (!(await ended())) return;
  await withLock(`${recordFile(folder)}.lock`, { signal }, async () => {
    const record = await ended();
    if (record) await around(() => startGuestIo(folder, record.io, record.marks, signal));
  });
}
