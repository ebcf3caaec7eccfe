import { writeFile } from 'node:fs/promises';
import type { BaseImage } from '../../bases/base.js';
import { baseFor } from '../../bases/registry.js';
import { NixproofError } from '../../domain/error.js';
import { DEFAULT_BASE } from '../../domain/profile.js';
import { makeFolder, writeWhole } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { BOOT_DEADLINE_MS } from '../boot.js';
import { createBlank, createOverlay } from '../hypervisor/images.js';
import type { Connection, MachineRequest, Work } from '../machine.js';
import { requireDisk, requireMemory } from '../../host/capacity.js';
import { withAccelerator } from '../hypervisor/first-guest.js';
import { describeAccelerator, possibleShape } from '../hypervisor/installation.js';
import { networkOf } from '../qemu/record.js';
import { machineFolder, writeRecord } from '../record.js';
import { takeSlot } from '../slots.js';
import { waitForDomain } from './boot.js';
import { defineDomain, startDomain } from './domain.js';
import { prepareSockets } from './guest-io.js';
import { domainIdentity } from './identity.js';
import { findLibvirt, type Libvirt } from './libvirt.js';
import { liveDomain, uefiOf } from './machine-xml.js';
import { requireNetwork } from './network.js';
import { libvirtFiles, type LibvirtRecord } from './record.js';
import { removeMachine } from './remove.js';

/** A run that fills more than this has a disk to itself or fails with a full one. */
const MACHINE_BYTES = 2 * 1024 ** 3;
const READY_MS = 5 * 60_000;

/** A machine as it was written down, and the connection on which it answered. */
export interface Made {
  readonly record: LibvirtRecord;
  readonly connection: Connection;
}

/** Makes a machine: overlays, a domain, its first boot from the base. What was left of an earlier try is removed first. */
export async function createMachine(layout: Layout, request: MachineRequest, work: Work): Promise<Made> {
  const base = await requireBase(layout, request.base ?? DEFAULT_BASE);
  return withAccelerator(
    () => findLibvirt(undefined, work.signal, request.shape.accelerator),
    ({ installation }) => installation,
    work,
    (libvirt) => createOn(libvirt, layout, request, base, work),
  );
}

async function createOn(
  libvirt: Libvirt,
  layout: Layout,
  request: MachineRequest,
  base: BaseImage,
  work: Work,
): Promise<Made> {
  const { id } = request;
  const shape = possibleShape(request.shape, libvirt.installation);
  if (shape.libvirtNetwork !== undefined) await requireNetwork(libvirt.virsh, shape.libvirtNetwork, work.signal);
  await removeMachine(layout, id);
  await makeFolder(machineFolder(layout, id));
  await requireDisk(layout.machines, MACHINE_BYTES, 'a machine');
  await takeSlot(layout, { id, memoryMiB: shape.memoryMiB }, work);
  try {
    await requireMemory(shape.memoryMiB);
    await makeFiles(layout, { id, shape }, base, libvirt, work);
    return await bootFirst(layout, { ...request, shape }, base, libvirt, work);
  } catch (error) {
    // Nobody has heard of it yet, so nobody would ever destroy it.
    await removeMachine(layout, id);
    throw error;
  }
}

async function requireBase(layout: Layout, name: string): Promise<BaseImage> {
  const base = await baseFor(name, layout).find();
  if (base) return base;
  throw new NixproofError('HOST_BASE_MISSING', `the base ${name} was not prepared on this host`, {
    hint: `run \`nixproof setup --base ${name}\``,
    details: { base: name },
  });
}

async function makeFiles(
  layout: Layout,
  { id, shape }: Pick<MachineRequest, 'id' | 'shape'>,
  base: BaseImage,
  libvirt: Libvirt,
  { signal }: Work,
): Promise<void> {
  const files = libvirtFiles(machineFolder(layout, id));
  await writeWhole(files.uri, `${libvirt.uri}\n`);
  if (base.disk) await createOverlay(files.system, base.disk.path, base.disk.format, signal);
  if (shape.firmware === 'uefi') await createOverlay(files.variables, uefiOf(libvirt).variables, 'raw', signal);
  for (const [index, bytes] of shape.diskBytes.entries()) await createBlank(files.target(index), bytes, signal);
  // libvirt's log keeper would make it root's; what is there it leaves as it is.
  await writeFile(files.console, '');
}

async function bootFirst(
  layout: Layout,
  request: MachineRequest,
  base: BaseImage,
  libvirt: Libvirt,
  work: Work,
): Promise<Made> {
  const { id, shape } = request;
  const { virsh, installation } = libvirt;
  const identity = domainIdentity(layout, id);
  const files = libvirtFiles(machineFolder(layout, id));
  const xml = await liveDomain(layout, request, base, libvirt);
  await defineDomain(virsh, identity, { text: xml, file: files.domain }, work.signal);
  work.progress(`booting ${base.name}`);
  await prepareSockets(files.folder);
  await startDomain(virsh, identity, shape.libvirtNetwork === undefined, work.signal);
  let hostKey: string | undefined;
  const { connection, address } = await waitForDomain(
    layout,
    {
      virsh,
      identity,
      network: shape.libvirtNetwork,
      reach: networkOf(shape),
      hostKey: undefined,
      onHostKey: async (presented) => {
        hostKey = presented;
      },
      consoleLog: files.console,
      deadlineMs: BOOT_DEADLINE_MS[installation.accelerator],
      fromPowerOn: true,
      what: `the base ${base.name}`,
      // A live system from CD need not print anything on the serial console.
      guest: { installation, base: base.name, sign: base.boot.kind === 'direct' ? 'kernel' : 'none' },
    },
    work,
  );
  // An installer that starts while the system still does would find half of it.
  await connection.exec(['systemctl', 'is-system-running', '--wait'], { signal: work.signal, timeoutMs: READY_MS });
  const record = recordOf(request, base, libvirt, { address, hostKey });
  await writeRecord(layout, record);
  return { record, connection };
}

function recordOf(
  { id, shape, base: name = DEFAULT_BASE }: MachineRequest,
  base: BaseImage,
  { uri, version, installation }: Libvirt,
  { address, hostKey }: Pick<LibvirtRecord, 'address' | 'hostKey'>,
): LibvirtRecord {
  const processors = `${shape.cpus} cpu${shape.cpus === 1 ? '' : 's'}`;
  const network = shape.libvirtNetwork === undefined ? '' : `, network ${shape.libvirtNetwork}`;
  return {
    id,
    driver: 'libvirt',
    base: name,
    createdAt: new Date().toISOString(),
    shape,
    detail: `libvirt ${version}, ${describeAccelerator(installation)}, ${shape.firmware}, ${processors}${network}`,
    uri,
    stage: 'live',
    liveDisks: base.disk ? 1 : 0,
    address,
    hostKey,
  };
}
