import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { lstatSync, readlinkSync, symlinkSync, type Stats } from 'node:fs';
import { lstat, mkdir, open, readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasCode, messageOf, NixproofError } from '../../domain/error.js';
import type { GuestNetwork } from '../../domain/profile.js';
import { passFence } from '../../host/fence.js';
import { isErrno } from '../../host/files.js';
import { identify, isAlive, processesWithEnvironment, terminate, type ProcessIdentity } from '../../host/process.js';
import { startGuestIo } from '../hypervisor/guest-io/guest-io.js';
import { SOCKETS } from './command-line.js';
import { leastEnvironment } from '../../host/least-environment.js';
import { confinement } from '../hypervisor/confinement.js';
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
 * Chooses the folder of a machine's sockets, once; the machine's own folder exists. It is not in
 * that, whose path may be too long for a socket's, nor in the user's runtime folder, which goes when
 * the user logs out before the machine ends. Its name is random, so that no other user can make it
 * first; a link in the machine's folder keeps it.
 * @throws NixproofError `HOST_PERMISSION` where another user has made it
 */
export function nameSockets(folder: string): string {
  return checked(linkedSockets(folder) ?? linkSockets(folder));
}

/**
 * The folder of a machine's sockets. Of a machine that has none, or is not there any more, it is one
 * that does not exist.
 * @throws NixproofError `HOST_PERMISSION` where another user has made it
 */
export function socketsFolder(folder: string): string {
  return checked(linkedSockets(folder) ?? '/nonexistent');
}

function checked(sockets: string): string {
  requireOwn(sockets, lstatSync(sockets, { throwIfNoEntry: false }));
  return sockets;
}

function socketsLink(folder: string): string {
  return path.join(folder, 'sockets');
}

function linkedSockets(folder: string): string | undefined {
  try {
    return readlinkSync(socketsLink(folder));
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}

function linkSockets(folder: string): string {
  const sockets = `/tmp/nixproof-${randomBytes(16).toString('hex')}`;
  try {
    symlinkSync(sockets, socketsLink(folder));
    return sockets;
  } catch (error) {
    // Another process was first.
    if (!isErrno(error, 'EEXIST')) throw error;
    return readlinkSync(socketsLink(folder));
  }
}

function isOwn(stats: Stats | undefined): boolean {
  return !stats || (stats.isDirectory() && stats.uid === process.getuid?.());
}

function requireOwn(sockets: string, stats: Stats | undefined): void {
  if (isOwn(stats)) return;
  throw new NixproofError('HOST_PERMISSION', `${sockets} was made by another user`, {
    hint: 'another user of this host interferes: remove the machine with `nixproof vm clean`, and test again',
  });
}

/**
 * Makes the folder of the sockets, or empties it: it is never absent while a machine has its name.
 */
async function emptySockets(sockets: string): Promise<void> {
  try {
    await mkdir(sockets, { mode: 0o700 });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    requireOwn(sockets, await lstat(sockets));
    for (const name of await readdir(sockets)) await rm(path.join(sockets, name), { force: true });
  }
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
  const sockets = nameSockets(folder);
  const log = path.join(folder, 'qemu.log');
  await passFence();
  await emptySockets(sockets);
  const output = await open(log, 'a');
  // Not execa: its output would run through this process, and QEMU is to outlive it.
  const marks = { [MACHINE_FOLDER]: path.resolve(folder), NIXPROOF_MACHINE: id };
  // The guest does not run until what it sends can be taken.
  const child = spawn(binary, [...args, '-S', ...(await confinement(binary))], {
    cwd: folder,
    env: leastEnvironment(marks),
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
    throw hasCode(error, 'MACHINE_GUEST_IO') ? error : await launchError(error, log);
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

/** Ends every process of a machine and removes its sockets: it does not start again as it was. */
export async function killMachine(folder: string): Promise<void> {
  await endProcesses(folder);
  await removeSockets(folder);
}

/** Ends every process of a machine, also one whose making was interrupted before it was written down. */
export async function endProcesses(folder: string): Promise<void> {
  for (;;) {
    const processes = await processesWithEnvironment(MACHINE_FOLDER, path.resolve(folder));
    // Asked after looking: what whoever goes on with the machine starts later is not among them.
    await passFence();
    if (processes.length === 0) return;
    await Promise.all(processes.map((identity) => terminate(identity, KILL_MS)));
  }
}

/** Removes the folder of a machine's sockets where there is one. */
export async function removeSockets(folder: string): Promise<void> {
  const sockets = linkedSockets(folder);
  if (sockets === undefined) return;
  // Another user's folder of that name stays.
  if (isOwn(lstatSync(sockets, { throwIfNoEntry: false }))) await rm(sockets, { recursive: true, force: true });
  // Another user knows its name by now.
  await rm(socketsLink(folder));
}
