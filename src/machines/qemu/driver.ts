import path from 'node:path';
import type { BaseImage } from '../../bases/base.js';
import { baseFor } from '../../bases/registry.js';
import { NixproofError } from '../../domain/error.js';
import { DEFAULT_BASE } from '../../domain/profile.js';
import { passFence } from '../../host/fence.js';
import { makeFolder, folderBytes } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { isAlive } from '../../host/process.js';
import { removeTree } from '../../host/tree/remove.js';
import { BOOT_DEADLINE_MS, wake } from '../boot.js';
import type { KeyPair } from '../keys.js';
import { benchKey } from '../login.js';
import type { Connection, Driver, MachineRequest, MachineStatus, Work } from '../machine.js';
import { machineFolder, machineIds, readRecord, writeRecord } from '../record.js';
import { freeSlot, takeSlot } from '../slots.js';
import { requireDisk, requireMemory } from '../../host/capacity.js';
import { listCheckpoints } from './checkpoints.js';
import { cloneTemplate, type Clone } from './clone.js';
import { identifyClone } from './clone-identity.js';
import { type QemuHost, thisHost } from '../hypervisor/accelerator.js';
import { startGuest, waitForGuest, withAccelerator } from '../hypervisor/first-guest.js';
import {
  describeAccelerator,
  describeInstallation,
  findInstallation,
  possibleShape,
  type Installation,
} from '../hypervisor/installation.js';
import { killMachine } from './launch.js';
import { gone, qemuMachine } from './qemu-machine.js';
import { machineFiles, networkOf, runs, type QemuRecord } from './record.js';
import { templateFor, type Template } from './template.js';

/** A run that fills more than this has a disk to itself or fails with a full one. */
const MACHINE_BYTES = 2 * 1024 ** 3;

export interface QemuDriverOptions {
  readonly layout: Layout;
  /** How long a system may take from power-on to SSH; by accelerator unless given. */
  readonly bootDeadlineMs?: number;
  /** Where QEMU is looked for; default: this host. */
  readonly host?: QemuHost;
}

/** QEMU by itself: no daemon, no root. Machines are clones of booted, frozen templates. */
export function createQemuDriver({ layout, bootDeadlineMs, host = thisHost() }: QemuDriverOptions): Driver {
  const options = { host, ...(bootDeadlineMs === undefined ? {} : { bootDeadlineMs }) };
  const machineOf = (record: QemuRecord, first?: Connection) => qemuMachine(layout, record, options, first);
  return {
    name: 'qemu',

    async probe({ signal }) {
      try {
        return { available: true, detail: describeInstallation(await findInstallation(signal, undefined, host)) };
      } catch (error) {
        if (error instanceof NixproofError) return { available: false, reason: error };
        throw error;
      }
    },

    async create(request, work) {
      const known = await readRecord<QemuRecord>(layout, request.id);
      if (known?.driver === 'qemu' && (known.stage === 'restarting' || (await runs(known)))) return machineOf(known);
      const made = await createMachine(layout, request, host, work);
      return machineOf(made.record, made.connection);
    },

    async attach(id) {
      const record = await readRecord<QemuRecord>(layout, id);
      if (record?.driver !== 'qemu') throw gone(id);
      const machine = machineOf(record);
      // One whose QEMU died can be brought back where it has checkpoints; until then it only refuses to connect.
      const revivable = (await listCheckpoints(machineFolder(layout, id))).length > 0;
      if (!revivable && !(await machine.isRunning())) throw gone(id);
      return machine;
    },

    async list() {
      const records = await Promise.all((await machineIds(layout)).map((id) => readRecord<QemuRecord>(layout, id)));
      return Promise.all(records.flatMap((record) => (record?.driver === 'qemu' ? [statusOf(layout, record)] : [])));
    },

    destroy: (id) => removeMachine(layout, id),
  };
}

async function statusOf(layout: Layout, record: QemuRecord): Promise<MachineStatus> {
  const { id, driver, base, createdAt } = record;
  const state = (await runs(record)) ? 'running' : 'stopped';
  return { id, driver, base, createdAt, state, diskBytes: await folderBytes(machineFolder(layout, id)) };
}

async function createMachine(layout: Layout, request: MachineRequest, host: QemuHost, work: Work): Promise<Made> {
  const base = await requireBase(layout, request.base ?? DEFAULT_BASE);
  return withAccelerator(
    () => findInstallation(work.signal, request.shape.accelerator, host),
    (installation) => installation,
    work,
    (installation) => createOn(installation, layout, request, base, work),
  );
}

async function createOn(
  installation: Installation,
  layout: Layout,
  request: MachineRequest,
  base: BaseImage,
  work: Work,
): Promise<Made> {
  const { id } = request;
  const name = request.base ?? DEFAULT_BASE;
  const shape = possibleShape(request.shape, installation);
  await makeFolder(layout.machines);
  await requireDisk(layout.machines, MACHINE_BYTES, 'a machine');
  const login = await benchKey(layout);
  const template = await templateFor({ base, shape, installation, login, folder: templatesFolder(layout, base) }, work);
  await takeSlot(layout, { id, memoryMiB: shape.memoryMiB }, work);
  try {
    await requireMemory(shape.memoryMiB);
    work.progress('cloning the template');
    return await cloneMachine(layout, { ...request, shape }, { name, installation, login, template }, work);
  } catch (error) {
    // Nobody has heard of it yet, so nobody would ever destroy it.
    await removeMachine(layout, id);
    throw error;
  }
}

/** A machine as it was written down, and the connection that was opened to wake it. */
interface Made {
  readonly record: QemuRecord;
  readonly connection: Connection;
}

interface Ingredients {
  readonly name: string;
  readonly installation: Installation;
  readonly login: KeyPair;
  readonly template: Template;
}

async function cloneMachine(layout: Layout, request: MachineRequest, from: Ingredients, work: Work): Promise<Made> {
  const { id, shape } = request;
  const { name, installation, login, template } = from;
  const folder = machineFolder(layout, id);
  const { process, definition } = await startGuest(installation, () =>
    cloneTemplate(
      template,
      { id, binary: installation.host.binary, folder, diskBytes: shape.diskBytes, network: networkOf(shape) },
      work,
    ),
  );
  const connection = await waitForGuest(
    {
      endpoint: {
        host: '127.0.0.1',
        port: process.sshPort,
        user: 'root',
        keyFile: login.keyFile,
        hostKey: template.hostKey,
      },
      isAlive: () => isAlive(process.identity),
      consoleLog: machineFiles(folder).console,
      deadlineMs: BOOT_DEADLINE_MS[installation.accelerator],
      fromPowerOn: false,
      what: 'the clone',
    },
    { installation, base: name, sign: 'answer' },
    work,
  );
  await wake(connection, work.signal);
  const hostKey = (await identifyClone(connection, id, work)) ?? template.hostKey;
  const record = recordOf(request, name, installation, { ...template, hostKey }, { process, definition });
  await writeRecord(layout, record);
  return { record, connection };
}

async function removeMachine(layout: Layout, id: string): Promise<void> {
  const folder = machineFolder(layout, id);
  await killMachine(folder);
  await removeTree(folder);
  await passFence();
  await freeSlot(layout, id);
}

/** Templates stand beside the images of their base, by its fingerprint. */
export function templatesFolder(layout: Layout, base: BaseImage): string {
  return path.join(layout.bases, base.name, `${base.fingerprint}-templates`);
}

async function requireBase(layout: Layout, name: string): Promise<BaseImage> {
  const base = await baseFor(name, layout).find();
  if (base) return base;
  throw new NixproofError('HOST_BASE_MISSING', `the base ${name} was not prepared on this host`, {
    hint: `run \`nixproof setup --base ${name}\``,
    details: { base: name },
  });
}

function recordOf(
  { id, shape }: MachineRequest,
  base: string,
  installation: Installation,
  { hostKey, liveDisks, console }: Template,
  { process, definition }: Clone,
): QemuRecord {
  return {
    id,
    driver: 'qemu',
    base,
    createdAt: new Date().toISOString(),
    shape,
    liveDisks,
    console,
    detail: `qemu ${installation.version}, ${describeAccelerator(installation)}, ${shape.firmware}, ${shape.cpus} cpu${shape.cpus === 1 ? '' : 's'}`,
    stage: 'live',
    process,
    hostKey,
    live: { definition, hostKey },
  };
}
