import { NixproofError } from '../../domain/error.js';
import type { ExistingMachine } from '../../domain/profile.js';
import type { Layout } from '../../host/paths.js';
import { waitUntil } from '../../host/process.js';
import { saysBanner } from '../banner.js';
import { openConnection } from '../connection.js';
import { keepConnection } from '../kept-connection.js';
import type { Connection, Machine, Work } from '../machine.js';
import { readRecord, writeRecord } from '../record.js';
import { askForReboot, bootId } from '../reboot.js';
import { endpointOf, waitForBoot, type Answer, type Boot } from './boot.js';
import { runPowerCommand } from './commands.js';
import { namingThePin, rememberHostKey } from './host-key.js';
import { holdsLease } from './lease.js';
import type { SshRecord } from './record.js';

const SYNC_MS = 5 * 60_000;
/** A network may be away for a moment without the machine being gone. */
const AWAY_MS = 20_000;

/** A leased machine, from its record. @param first a connection that is open already */
export function sshMachine(layout: Layout, initial: SshRecord, first?: Connection): Machine {
  const { id, host } = initial;
  let record = initial;

  const save = async (change: Partial<SshRecord>) => {
    record = { ...record, ...change };
    await writeRecord(layout, record);
  };
  /** Another process may have restarted it, or given it back, since we looked. */
  const refresh = async () => {
    const current = await readRecord<SshRecord>(layout, id);
    if (!current || !(await holdsLease(layout, id, host))) throw gone(id);
    record = current;
  };
  const endpoint = () => endpointOf(host, record.stage === 'restarting' ? undefined : record.system?.hostKey);
  const answers = () => waitUntil(() => saysBanner(host.address, host.port), AWAY_MS, { everyMs: 500 });
  const open = async ({ signal }: Work): Promise<Connection> => {
    try {
      return await openConnection(endpoint(), { signal });
    } catch (error) {
      signal.throwIfAborted();
      if (await answers()) throw namingThePin(layout, host, error);
      throw gone(id, error);
    }
  };
  const connection = keepConnection(open, first);
  const close = () => connection[Symbol.asyncDispose]();
  const boots = async (boot: Omit<Boot, 'host'>, stage: SshRecord['stage'], work: Work) => {
    const answer = await waitForBoot({ host, ...boot }, work).catch((error: unknown) => {
      throw namingThePin(layout, host, error);
    });
    await connection.adopt(answer.connection);
    // Nothing brings the pristine system back: the machine's next run begins with this one.
    if (host.commands.reset === undefined) await rememberHostKey(layout, host, answer.hostKey);
    await save({ stage, system: systemOf(answer) });
  };

  return {
    get info() {
      const { driver, base, createdAt } = record;
      return { id, driver, base, createdAt };
    },
    detail: detailOf(host),
    disks: host.disks,
    resolvePath: (absolute) => absolute,
    endpoint: async () => endpoint(),
    async connect(work) {
      await refresh();
      return connection.get(work);
    },
    // A restart that was begun is gone on with, by whoever comes next: it is no dead machine.
    async isRunning() {
      if (!(await holdsLease(layout, id, host))) return false;
      return record.stage === 'restarting' || (await answers());
    },

    async restartInstalled(work) {
      await refresh();
      if (record.stage === 'installed' && (await answers())) return;
      const before = record.system?.bootId ?? '';
      if (record.stage === 'live') await sync(() => connection.get(work), host, work);
      await close();
      await save({ stage: 'restarting' });
      work.progress(`${host.name}: starting it from its installed disk`);
      await restart(record, before, work);
      await boots({ hostKey: undefined, before, what: 'the installed system' }, 'installed', work);
    },

    async reboot(work) {
      await refresh();
      const current = await connection.get(work);
      const before = await bootId(current, work.signal);
      await askForReboot(current, work);
      await close();
      await boots({ hostKey: record.system?.hostKey, before, what: 'the rebooted system' }, record.stage, work);
    },

    [Symbol.asyncDispose]: close,
  };
}

/** What a record keeps of a system that answered. */
export function systemOf({ hostKey, bootId }: Answer): SshRecord['system'] {
  return { hostKey, bootId };
}

/** @returns the error for a machine that no run of this id has, or that does not answer */
export function gone(id: string, cause?: unknown): NixproofError {
  return new NixproofError('MACHINE_GONE', `the machine of ${id} does not answer, or is no longer its own`, {
    details: { machine: id },
    cause,
  });
}

function detailOf({ name, address, port, commands }: ExistingMachine): string {
  const state = commands.reset === undefined ? 'not pristine: it has no reset command' : 'made pristine by its reset';
  return `ssh: ${name} at ${address}:${port}, ${state}`;
}

/** A power cycle where there are the commands for one; else a reboot, unless another boot answers already. */
async function restart({ id, host, system }: SshRecord, before: string, work: Work): Promise<void> {
  const occasion = { run: id, boot: 'disk' } as const;
  if (host.commands.stop !== undefined && host.commands.start !== undefined) {
    await runPowerCommand(host, 'stop', occasion, work);
    await runPowerCommand(host, 'start', occasion, work);
    return;
  }
  try {
    await using connection = await openConnection(endpointOf(host, system?.hostKey), { signal: work.signal });
    if ((await bootId(connection, work.signal)) === before) await askForReboot(connection, work);
  } catch {
    // Another system's key, or none that answers: it is on its way.
    work.signal.throwIfAborted();
  }
}

/** What the live system holds back from its disks would be lost with a power cut. */
async function sync(connect: () => Promise<Connection>, { name }: ExistingMachine, work: Work): Promise<void> {
  try {
    await (await connect()).exec(['sync'], { signal: work.signal, timeoutMs: SYNC_MS });
  } catch {
    work.signal.throwIfAborted();
    work.progress(`${name}: the live system did not answer: its installed disk is used as it is`);
  }
}
