import { NixproofError } from '../../domain/error.js';
import type { Layout } from '../../host/paths.js';
import { processWithArguments } from '../../host/process.js';
import { BOOT_DEADLINE_MS, wake } from '../boot.js';
import { keepPinnedConnection } from '../kept-connection.js';
import { benchKey } from '../login.js';
import type { Checkpoints, Connection, Endpoint, Machine, Work } from '../machine.js';
import { guestDisk } from '../qemu/command-line.js';
import { askForReboot, bootId, syncDisks, waitForReboot } from '../reboot.js';
import { networkOf } from '../qemu/record.js';
import { machineFolder, readRecord, writeRecord } from '../record.js';
import { takeSlot } from '../slots.js';
import { waitForDomain } from './boot.js';
import { checkpointOf, frozenStates, restoreCheckpoint, takeCheckpoint } from './checkpoints.js';
import { cutDomain, defineDomain, isDomainActive, startDomain } from './domain.js';
import { keepFilter, prepareSockets } from './guest-io.js';
import { domainIdentity } from './identity.js';
import { findLibvirt, type Libvirt } from './libvirt.js';
import { installedDomain } from './machine-xml.js';
import { libvirtFiles, type LibvirtRecord } from './record.js';
import { guestScreen } from './screen.js';
import { virshAt } from './virsh.js';

export interface LibvirtMachineOptions {
  /** A connection that is open already. */
  readonly first?: Connection;
  /** How long a system may take from power-on to SSH; by accelerator unless given. */
  readonly bootDeadlineMs?: number;
}

/** A machine of this driver, from its record. */
export function libvirtMachine(layout: Layout, initial: LibvirtRecord, options: LibvirtMachineOptions = {}): Machine {
  const identity = domainIdentity(layout, initial.id);
  const files = libvirtFiles(machineFolder(layout, initial.id));
  const virsh = virshAt(initial.uri);
  let record = initial;

  const save = async (change: Partial<LibvirtRecord>) => {
    record = { ...record, ...change };
    await writeRecord(layout, record);
  };
  /** Another process may have restarted it since we looked. */
  const refresh = async () => {
    const current = await readRecord<LibvirtRecord>(layout, record.id);
    if (!current) throw gone(record.id);
    record = current;
  };
  const isRunning = async () => (await readRecord(layout, record.id)) !== undefined && isDomainActive(virsh, identity);
  /** Before it is started again: while nothing of it ran it may have lost its share of the host. */
  const share = (work: Work) => takeSlot(layout, { id: record.id, memoryMiB: record.shape.memoryMiB }, work);
  const endpoint = async (): Promise<Endpoint> => {
    const { keyFile } = await benchKey(layout);
    return { ...record.address, user: 'root', keyFile, hostKey: record.hostKey };
  };
  const connection = keepPinnedConnection(
    {
      endpoint,
      hostKey: () => record.hostKey,
      saveHostKey: (hostKey) => save({ hostKey }),
      isRunning,
      gone: (cause) => gone(record.id, cause),
    },
    options.first,
  );
  const close = () => connection[Symbol.asyncDispose]();
  /** In a network of libvirt it reaches what that lets it. */
  const isFiltered = initial.shape.libvirtNetwork === undefined;
  const connected = async (work: Work): Promise<Connection> => {
    const filtered = { folder: files.folder, network: networkOf(record.shape) };
    if (isFiltered) await keepFilter(virsh, identity, filtered, work.signal);
    return connection.get(work);
  };

  const libvirtNow = ({ signal }: Work) => findLibvirt(record.uri, signal, record.shape.accelerator);
  const deadlineMs = ({ installation }: Libvirt) =>
    options.bootDeadlineMs ?? BOOT_DEADLINE_MS[installation.accelerator];
  const boot = async (what: string, work: Work, limitMs: number, fromPowerOn = true): Promise<Connection> => {
    const { hostKey } = record;
    const { console: consoleLog } = files;
    const { libvirtNetwork: network } = record.shape;
    const answer = await waitForDomain(
      layout,
      {
        virsh,
        identity,
        network,
        reach: networkOf(record.shape),
        hostKey,
        onHostKey: connection.pin,
        consoleLog,
        deadlineMs: limitMs,
        fromPowerOn,
        what,
      },
      work,
    );
    await save({ address: answer.address });
    return answer.connection;
  };

  const frozen = () => ({ virsh, identity, files, record });
  const checkpoints: Checkpoints = {
    take: async (name, work) => {
      await refresh();
      if (!(await isRunning())) throw gone(record.id);
      return checkpointOf(await takeCheckpoint(frozen(), name, work));
    },
    async restore(name, work) {
      await refresh();
      await close();
      await share(work);
      const { stage, hostKey } = await restoreCheckpoint(frozen(), name, work);
      await save({ stage, hostKey });
      const answering = await boot('the restored machine', work, deadlineMs(await libvirtNow(work)), false);
      await connection.adopt(answering);
      await wake(answering, work.signal);
    },
    list: async () => (await frozenStates(files)).map(checkpointOf),
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
    disks: record.shape.diskBytes.map((_, index) => guestDisk(record.liveDisks + index)),
    consoleLog: files.console,
    hostProcess: () => processWithArguments(['-uuid', identity.uuid]),
    resolvePath: (absolute) => absolute,
    endpoint,
    connect: connected,
    // A restart that was begun is gone on with, by whoever comes next: it is no dead machine.
    isRunning: async () => record.stage === 'restarting' || (await isRunning()),

    async restartInstalled(work, limitMs) {
      await refresh();
      const libvirt = await libvirtNow(work);
      if (record.stage !== 'installed' || !(await isRunning())) {
        if (record.stage === 'live') await syncDisks(() => connection.get(work), work);
        await close();
        await share(work);
        await save({ stage: 'restarting', hostKey: undefined });
        await cutDomain(virsh, identity);
        work.progress('starting the machine from its installed disk');
        const xml = await installedDomain(layout, record, libvirt);
        await defineDomain(virsh, identity, { text: xml, file: files.domain }, work.signal);
        await prepareSockets(files.folder);
        await startDomain(virsh, identity, isFiltered, work.signal);
        await save({ stage: 'installed' });
      }
      await connection.adopt(await boot('the installed system', work, limitMs ?? deadlineMs(libvirt)));
    },

    async reboot(work) {
      const libvirt = await libvirtNow(work);
      const current = await connected(work);
      const before = await bootId(current, work.signal);
      await askForReboot(current, work);
      await close();
      const answering = await waitForReboot(
        (limitMs) => boot('the rebooted system', work, limitMs),
        { before, deadlineMs: deadlineMs(libvirt), consoleLog: files.console },
        work,
      );
      await connection.adopt(answering);
    },

    screen: guestScreen(virsh, identity),
    cable: {
      async setPlugged(plugged) {
        await virsh.run(['domif-setlink', identity.uuid, identity.mac, plugged ? 'up' : 'down']);
      },
    },
    crash: () => cutDomain(virsh, identity),

    [Symbol.asyncDispose]: close,
  };
}

/** @returns the error for a machine that is not there, or whose domain does not run */
export function gone(id: string, cause?: unknown): NixproofError {
  return new NixproofError('MACHINE_GONE', `the machine ${id} does not run in this host's libvirt`, {
    details: { machine: id },
    cause,
  });
}
