import { NixproofError } from '../../domain/error.js';
import { folderBytes } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import type { Connection, Driver, MachineStatus } from '../machine.js';
import { machineFolder, machineIds, readRecord } from '../record.js';
import { frozenStates } from './checkpoints.js';
import { isDomainActive } from './domain.js';
import { createMachine } from './create.js';
import { domainIdentity } from './identity.js';
import { describeLibvirt, findLibvirt } from './libvirt.js';
import { gone, libvirtMachine } from './libvirt-machine.js';
import { libvirtFiles, type LibvirtRecord } from './record.js';
import { removeMachine } from './remove.js';
import { virshAt } from './virsh.js';

export interface LibvirtDriverOptions {
  readonly layout: Layout;
  /** How long a system may take from power-on to SSH; by accelerator unless given. */
  readonly bootDeadlineMs?: number;
}

/** Domains of this host's libvirt, through virsh. Each machine boots its base; domains of others are never touched. */
export function createLibvirtDriver({ layout, bootDeadlineMs }: LibvirtDriverOptions): Driver {
  const machineOf = (record: LibvirtRecord, first?: Connection) =>
    libvirtMachine(layout, record, {
      ...(first ? { first } : {}),
      ...(bootDeadlineMs === undefined ? {} : { bootDeadlineMs }),
    });
  return {
    name: 'libvirt',

    async probe({ signal }) {
      try {
        return { available: true, detail: describeLibvirt(await findLibvirt(undefined, signal)) };
      } catch (error) {
        if (error instanceof NixproofError) return { available: false, reason: error };
        throw error;
      }
    },

    async create(request, work) {
      const known = await recordOf(layout, request.id);
      if (known && (known.stage === 'restarting' || (await runs(layout, known)))) return machineOf(known);
      const made = await createMachine(layout, request, work);
      return machineOf(made.record, made.connection);
    },

    async attach(id) {
      const record = await recordOf(layout, id);
      if (!record) throw gone(id);
      const machine = machineOf(record);
      // One whose domain ended can be brought back where it has checkpoints; until then it only refuses to connect.
      const revivable = (await frozenStates(libvirtFiles(machineFolder(layout, id)))).length > 0;
      if (!revivable && !(await machine.isRunning())) throw gone(id);
      return machine;
    },

    async list() {
      const records = await Promise.all((await machineIds(layout)).map((id) => recordOf(layout, id)));
      return Promise.all(records.flatMap((record) => (record ? [statusOf(layout, record)] : [])));
    },

    destroy: (id) => removeMachine(layout, id),
  };
}

async function recordOf(layout: Layout, id: string): Promise<LibvirtRecord | undefined> {
  const record = await readRecord<LibvirtRecord>(layout, id);
  return record?.driver === 'libvirt' ? record : undefined;
}

function runs(layout: Layout, { uri, id }: LibvirtRecord): Promise<boolean> {
  return isDomainActive(virshAt(uri), domainIdentity(layout, id));
}

async function statusOf(layout: Layout, record: LibvirtRecord): Promise<MachineStatus> {
  const { id, driver, base, createdAt } = record;
  // Where no libvirt answers nobody can use it.
  const state = (await runs(layout, record).catch(() => false)) ? 'running' : 'stopped';
  return { id, driver, base, createdAt, state, diskBytes: await folderBytes(machineFolder(layout, id)) };
}
