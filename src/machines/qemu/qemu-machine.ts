import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError } from '../../domain/error.js';
import type { Layout } from '../../host/paths.js';
import { isAlive } from '../../host/process.js';
import { BOOT_DEADLINE_MS, waitForBoot, wake } from '../boot.js';
import { keepPinnedConnection } from '../kept-connection.js';
import { benchKey } from '../login.js';
import type { Checkpoints, Connection, Endpoint, Machine, Work } from '../machine.js';
import { askForReboot, bootId, syncDisks, waitForReboot } from '../reboot.js';
import { machineFolder, readRecord, writeRecord } from '../record.js';
import { takeSlot } from '../slots.js';
import { type QemuHost, thisHost } from '../hypervisor/accelerator.js';
import { listCheckpoints, restoreCheckpoint, takeCheckpoint } from './checkpoints.js';
import { SOCKETS, guestDisk, qemuArguments } from './command-line.js';
import { networkCable } from './cable.js';
import { keepGoing } from './guest-io.js';
import { guestConsole } from './guest-console.js';
import { findInstallation, type Installation } from '../hypervisor/installation.js';
import { endProcesses, launch, nameSockets, socketsFolder } from './launch.js';
import { cutPower } from './power.js';
import { connectQmp } from './qmp.js';
import { copyMachine } from './fork.js';
import { machineFiles, networkOf, runs, runsById, type QemuRecord } from './record.js';
import { guestScreen } from './screen.js';

/** systemd gives a unit a minute and a half to stop, and kills what is left (systemd-system.conf(5)). */
const SHUTDOWN_MS = 3 * 60_000;

export interface QemuMachineOptions {
  /** How long a system may take from power-on to SSH; by accelerator unless given. */
  readonly bootDeadlineMs?: number;
  /** Where QEMU is looked for; default: this host. */
  readonly host?: QemuHost;
}

/**
 * A machine of this driver, from its record.
 * @param first a connection to it that is open already
 */
export function qemuMachine(
  layout: Layout,
  initial: QemuRecord,
  options: QemuMachineOptions = {},
  first?: Connection,
): Machine {
  const folder = machineFolder(layout, initial.id);
  const files = machineFiles(folder);
  const { host = thisHost() } = options;
  let record = initial;
  const installed = ({ signal }: Work) => findInstallation(signal, record.shape.accelerator, host);
  const bootDeadlineMs = ({ accelerator }: Installation) => options.bootDeadlineMs ?? BOOT_DEADLINE_MS[accelerator];

  const save = async (change: Partial<QemuRecord>) => {
    record = { ...record, ...change };
    await writeRecord(layout, record);
  };
  /** Another process may have restarted it since we looked. */
  const refresh = async () => {
    const current = await readRecord<QemuRecord>(layout, record.id);
    if (!current) throw gone(record.id);
    record = current;
  };
  const isRunning = () => runs(record);
  /** Before it is started again: while nothing of it ran it may have lost its share of the host. */
  const share = (work: Work) => takeSlot(layout, { id: record.id, memoryMiB: record.shape.memoryMiB }, work);
  const endpoint = async (): Promise<Endpoint> => {
    if (!record.process) throw gone(record.id);
    const { keyFile } = await benchKey(layout);
    return { host: '127.0.0.1', port: record.process.sshPort, user: 'root', keyFile, hostKey: record.hostKey };
  };
  const connection = keepPinnedConnection(
    {
      endpoint,
      hostKey: () => record.hostKey,
      saveHostKey: (hostKey) => save({ hostKey }),
      isRunning,
      gone: (cause) => gone(record.id, cause),
    },
    first,
  );
  const close = () => connection[Symbol.asyncDispose]();

  const boot = async (what: string, work: Work, deadlineMs: number, fromPowerOn = true): Promise<Connection> => {
    if (!record.process) throw gone(record.id);
    const { identity } = record.process;
    return waitForBoot(
      {
        endpoint: await endpoint(),
        isAlive: async () => {
          await keepGoing(folder, work.signal);
          return isAlive(identity);
        },
        consoleLog: files.console,
        deadlineMs,
        fromPowerOn,
        what,
        onHostKey: connection.pin,
      },
      work,
    );
  };

  const frozen = () => {
    const { id, shape, live } = record;
    return { id, folder, memoryMiB: shape.memoryMiB, network: networkOf(shape), definition: live.definition };
  };
  const checkpoints: Checkpoints = {
    take: (name, work) => takeCheckpoint(frozen(), name, work),
    async restore(name, work) {
      await refresh();
      await close();
      // What was restarted from its own disk is another QEMU, and ends here.
      const live = record.stage === 'live' ? record.process : undefined;
      await share(work);
      const process = await restoreCheckpoint(frozen(), live, name, work);
      await save({ stage: 'live', process, hostKey: record.live.hostKey });
      const installation = await installed(work);
      const answering = await boot('the restored machine', work, bootDeadlineMs(installation), false);
      await connection.adopt(answering);
      await wake(answering, work.signal);
    },
    list: () => listCheckpoints(folder),
    async fork(name, id, work) {
      await refresh();
      if (await runsById(layout, id)) return true;
      const copy = await copyMachine(layout, record, id, work);
      if (!copy) return false;
      await writeRecord(layout, copy);
      await using machine = qemuMachine(layout, copy, options);
      await machine.checkpoints?.restore(name, work);
      return true;
    },
  };

  return {
    checkpoints,
    get info() {
      const { id, driver, base, createdAt } = record;
      return { id, driver, base, createdAt };
    },
    get detail() {
      return record.detail;
    },
    disks: record.shape.diskBytes.map((_, index) => guestDisk((record.liveDisks ?? 1) + index)),
    consoleLog: files.console,
    hostProcess: async () => record.process?.identity,
    resolvePath: (absolute) => absolute,
    endpoint,
    async connect(work) {
      await keepGoing(folder, work.signal);
      return connection.get(work);
    },
    // A restart that was begun is gone on with, by whoever comes next: it is no dead machine.
    isRunning: async () => record.stage === 'restarting' || (await isRunning()),

    async restartInstalled(work, deadlineMs) {
      await refresh();
      const installation = await installed(work);
      if (record.stage !== 'installed' || !(await isRunning())) {
        if (record.stage === 'live') await syncDisks(() => connection.get(work), work);
        await close();
        await share(work);
        await save({ stage: 'restarting', process: undefined, hostKey: undefined });
        await endProcesses(folder);
        work.progress('starting the machine from its installed disk');
        const process = await startInstalled(layout, record, installation, work);
        await save({ stage: 'installed', process });
      }
      await connection.adopt(await boot('the installed system', work, deadlineMs ?? bootDeadlineMs(installation)));
    },

    async reboot(work) {
      const installation = await installed(work);
      const before = await bootId(await connection.get(work), work.signal);
      await askedAndReset(folder, async () => askForReboot(await connection.get(work), work), work);
      await close();
      const answering = await waitForReboot(
        (deadlineMs) => boot('the rebooted system', work, deadlineMs),
        { before, deadlineMs: bootDeadlineMs(installation), consoleLog: files.console },
        work,
      );
      await connection.adopt(answering);
    },

    ...(initial.console === false ? {} : { console: guestConsole(path.join(socketsFolder(folder), SOCKETS.console)) }),
    screen: guestScreen(path.join(socketsFolder(folder), SOCKETS.qmp)),
    cable: networkCable(path.join(socketsFolder(folder), SOCKETS.qmp)),
    async crash() {
      await refresh();
      if (record.process) await cutPower(record.process.identity);
      await close();
    },

    [Symbol.asyncDispose]: close,
  };
}

/** @returns the error for a machine that is not there, or whose QEMU has died */
export function gone(id: string, cause?: unknown): NixproofError {
  return new NixproofError('MACHINE_GONE', `the machine ${id} does not run on this host`, {
    details: { machine: id },
    cause,
  });
}

async function startInstalled(layout: Layout, record: QemuRecord, installation: Installation, work: Work) {
  const folder = machineFolder(layout, record.id);
  const files = machineFiles(folder);
  const { cpus, memoryMiB, firmware, diskBytes } = record.shape;
  const args = qemuArguments(
    {
      accelerator: installation.accelerator,
      cpus,
      memoryMiB,
      firmware,
      disks: diskBytes.map((_, index) => files.target(index)),
      publicKey: (await benchKey(layout)).publicKey,
    },
    {
      name: `nixproof-${record.id}`,
      memory: { kind: 'own' },
      ...(firmware === 'uefi' && installation.uefi
        ? { uefi: { code: installation.uefi.code, variables: files.variables } }
        : {}),
      sockets: nameSockets(folder),
      incoming: false,
    },
  );
  const { qmp, ...process } = await launch(installation.host.binary, args, {
    folder,
    id: record.id,
    network: networkOf(record.shape),
    signal: work.signal,
  });
  await qmp[Symbol.asyncDispose]();
  return process;
}

/**
 * Asks for a reboot and waits until the guest resets its machine: on its way down it still answers, or leaves connections
 * hanging. Where QEMU does not tell of it in time, what the guest says of its boot decides alone.
 */
async function askedAndReset(folder: string, ask: () => Promise<void>, { signal }: Work): Promise<void> {
  await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
  const reset = qmp.next('RESET');
  await ask();
  const limit = new AbortController();
  const late = delay(SHUTDOWN_MS, undefined, { signal: AbortSignal.any([signal, limit.signal]) }).catch(
    () => undefined,
  );
  await Promise.race([reset, qmp.closed, late]);
  limit.abort();
  signal.throwIfAborted();
}
