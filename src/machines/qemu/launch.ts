import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError, messageOf } from '../../domain/error.js';
import type { GuestNetwork } from '../../domain/profile.js';
import { passFence } from '../../host/fence.js';
import { identify, isAlive, processesWithEnvironment, terminate, type ProcessIdentity } from '../../host/process.js';
import { startGuestIo } from '../guest-io/guest-io.js';
import { SOCKETS } from './command-line.js';
import { connectQmp, forwardedPort, type Qmp } from './qmp.js';
import { machineFiles } from './record.js';

/** A running QEMU, as it is kept on disk. */
export interface QemuProcess {
  readonly identity: ProcessIdentity;
  /** Of 127.0.0.1, forwarded to the guest's SSH. */
  readonly sshPort: number;
}

/** The mark on every process of a machine: its folder, which no machine of another home shares. */
export const MACHINE_FOLDER = 'NIXPROOF_MACHINE_FOLDER';
const START_MS = 20_000;
const KILL_MS = 3000;

/**
 * Folder of a machine's sockets: not in the machine's own folder, whose path may be too long for a socket's, but found again from
 * it. Not in the user's runtime folder either, which goes when the user logs out while a machine goes on.
 */
export function socketsFolder(folder: string): string {
  const hash = createHash('sha256').update(path.resolve(folder)).digest('hex').slice(0, 16);
  return `/tmp/nixproof-${hash}`;
}

export interface LaunchOptions {
  /** The machine's. */
  readonly folder: string;
  readonly id: string;
  readonly network: GuestNetwork;
  /** Whether the guest does not run yet. */
  readonly paused?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Starts QEMU in a session of its own, so that it outlives this process, and resolves with an open QMP conversation when it is
 * up. What it says goes to `qemu.log` in the folder.
 * @throws NixproofError `MACHINE_QEMU_FAILED` with the end of that log, `MACHINE_GUEST_IO`
 */
export async function launch(
  binary: string,
  args: readonly string[],
  { folder, id, signal, network, paused = false }: LaunchOptions,
): Promise<QemuProcess & { readonly qmp: Qmp }> {
  signal.throwIfAborted();
  const sockets = socketsFolder(folder);
  const log = path.join(folder, 'qemu.log');
  await passFence();
  await rm(sockets, { recursive: true, force: true });
  await mkdir(sockets, { mode: 0o700 });
  const output = await open(log, 'a');
  // Not execa: its output would run through this process, and QEMU is to outlive it.
  const marks = { [MACHINE_FOLDER]: path.resolve(folder), NIXPROOF_MACHINE: id };
  // The guest does not run until what it sends can be taken.
  const child = spawn(binary, [...args, '-S'], {
    cwd: folder,
    env: { ...process.env, ...marks },
    detached: true,
    stdio: ['ignore', output.fd, output.fd],
  });
  child.on('error', () => undefined);
  child.unref();
  await output.close();
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  const failed = new AbortController();
  const guestIo = startGuestIo(
    folder,
    { sockets, consoleLog: machineFiles(folder).console, network },
    marks,
    AbortSignal.any([signal, failed.signal]),
  );
  // Where QEMU does not start that is what is said.
  guestIo.catch(() => undefined);
  let qmp: Qmp | undefined;
  try {
    qmp = await firstConversation(path.join(sockets, SOCKETS.qmp), identity, signal);
    const sshPort = forwardedPort(await qmp.human('info usernet'));
    if (identity === undefined || sshPort === undefined) throw new Error('QEMU does not tell its forwarded port');
    await guestIo;
    if (!paused) await qmp.execute('cont');
    return { identity, sshPort, qmp };
  } catch (error) {
    failed.abort();
    await guestIo.catch(() => undefined);
    await qmp?.[Symbol.asyncDispose]();
    // Only that one: by now there may be another of whoever goes on with the machine.
    if (identity) await terminate(identity, KILL_MS);
    signal.throwIfAborted();
    throw error instanceof NixproofError && error.code === 'MACHINE_GUEST_IO' ? error : await launchError(error, log);
  }
}

async function firstConversation(
  socket: string,
  identity: ProcessIdentity | undefined,
  signal: AbortSignal,
): Promise<Qmp> {
  const end = performance.now() + START_MS;
  for (;;) {
    signal.throwIfAborted();
    try {
      return await connectQmp(socket, START_MS);
    } catch (error) {
      const alive = identity !== undefined && (await isAlive(identity));
      if (!alive || performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

async function launchError(cause: unknown, log: string): Promise<NixproofError> {
  const tail = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-10);
  const last = tail.at(-1) ?? '';
  return new NixproofError('MACHINE_QEMU_FAILED', `QEMU did not start: ${last === '' ? messageOf(cause) : last}`, {
    hint: 'run `nixproof doctor`: it tries QEMU and says what is missing',
    details: { log: tail },
    cause,
  });
}

/** Ends every process of a machine, also one whose making was interrupted before it was written down. */
export async function killMachine(folder: string): Promise<void> {
  for (;;) {
    const processes = await processesWithEnvironment(MACHINE_FOLDER, path.resolve(folder));
    // Asked after looking: what whoever goes on with the machine starts later is not among them.
    await passFence();
    if (processes.length === 0) break;
    await Promise.all(processes.map((identity) => terminate(identity, KILL_MS)));
  }
  await rm(socketsFolder(folder), { recursive: true, force: true });
}
