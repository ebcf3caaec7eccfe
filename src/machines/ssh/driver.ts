import { NixproofError } from '../../domain/error.js';
import type { ExistingMachine } from '../../domain/profile.js';
import { passFence } from '../../host/fence.js';
import { folderBytes } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { removeTree } from '../../host/tree/remove.js';
import { saysBanner } from '../banner.js';
import type { Driver, Machine, MachineRequest, MachineStatus, Work } from '../machine.js';
import { machineFolder, machineIds, readRecord, writeRecord } from '../record.js';
import { runPowerCommand } from './commands.js';
import { holdsLease, leaseHost, releaseHost } from './lease.js';
import { prepareHost, requireKey } from './prepare.js';
import type { SshRecord } from './record.js';
import { gone, sshMachine, systemOf } from './ssh-machine.js';

/**
 * Machines that exist already: lab boxes, cloud instances. The configuration says where they are and how they are reset and
 * switched; a run leases one, and gives it back when it is destroyed.
 */
export function createSshDriver({ layout }: { readonly layout: Layout }): Driver {
  return {
    name: 'ssh',

    async probe() {
      return { available: true, detail: 'machines of the configuration, over SSH' };
    },

    async create(request, work) {
      const known = await recordOf(layout, request.id);
      if (known && known.stage !== 'preparing') {
        const machine = sshMachine(layout, known);
        if (await machine.isRunning()) return machine;
      }
      return makeMachine(layout, request, work);
    },

    async attach(id) {
      const record = await recordOf(layout, id);
      const machine = record && record.stage !== 'preparing' ? sshMachine(layout, record) : undefined;
      if (!machine || !(await machine.isRunning())) throw gone(id);
      return machine;
    },

    async list() {
      const records = await Promise.all((await machineIds(layout)).map((id) => recordOf(layout, id)));
      return Promise.all(records.flatMap((record) => (record ? [statusOf(layout, record)] : [])));
    },

    destroy: (id, work) => removeMachine(layout, id, work),
  };
}

async function recordOf(layout: Layout, id: string): Promise<SshRecord | undefined> {
  const record = await readRecord<SshRecord>(layout, id);
  return record?.driver === 'ssh' ? record : undefined;
}

async function statusOf(layout: Layout, { id, driver, base, createdAt, host }: SshRecord): Promise<MachineStatus> {
  const isUp = (await holdsLease(layout, id, host)) && (await saysBanner(host.address, host.port));
  const diskBytes = await folderBytes(machineFolder(layout, id));
  return { id, driver, base, createdAt, state: isUp ? 'running' : 'stopped', diskBytes };
}

async function makeMachine(layout: Layout, { id, base, hosts = [] }: MachineRequest, work: Work): Promise<Machine> {
  if (hosts.length === 0) throw noHosts();
  for (const host of hosts) await requireKey(host);
  let record: SshRecord | undefined;
  const claim = async (host: ExistingMachine) => {
    const createdAt = new Date().toISOString();
    record = { id, driver: 'ssh', base, createdAt, host, stage: 'preparing', system: undefined };
    await writeRecord(layout, record);
  };
  const host = await leaseHost(layout, id, hosts, claim, work);
  try {
    const answer = await prepareHost(layout, id, host, work);
    const live: SshRecord = { ...(record as SshRecord), stage: 'live', system: systemOf(answer) };
    await writeRecord(layout, live);
    return sshMachine(layout, live, answer.connection);
  } catch (error) {
    // Nobody may ever destroy it. Who was told to stop is followed by somebody who goes on, or destroys it.
    if (!work.signal.aborted) await removeMachine(layout, id, work).catch(() => undefined);
    throw error;
  }
}

function noHosts(): NixproofError {
  return new NixproofError('CONFIG_MACHINES_MISSING', 'the ssh driver was given no machines', {
    hint: 'add a machine with its address, key and disks under `machines:`',
  });
}

/**
 * Switches the machine off, where there is a command for it, and gives it back. A machine that cannot be switched off is kept:
 * something of this run may still go on in it.
 */
async function removeMachine(layout: Layout, id: string, work: Work): Promise<void> {
  await passFence();
  const record = await recordOf(layout, id);
  if (record && (await holdsLease(layout, id, record.host))) {
    await runPowerCommand(record.host, 'stop', { run: id, boot: record.stage === 'installed' ? 'disk' : 'live' }, work);
    await releaseHost(layout, id, record.host);
  }
  await removeTree(machineFolder(layout, id));
}
