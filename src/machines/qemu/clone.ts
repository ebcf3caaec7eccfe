import { rm } from 'node:fs/promises';
import type { GuestNetwork, MachineShape } from '../../domain/profile.js';
import { createOverlay } from '../hypervisor/images.js';
import type { Work } from '../machine.js';
import type { QemuDefinition } from './checkpoints.js';
import { diskId, type Hardware, qemuArguments, type Wiring } from './command-line.js';
import { killMachine, launch, nameSockets, socketsFolder, type QemuProcess } from './launch.js';
import { activateDisks, readState, shareMemory } from './migration.js';
import type { Qmp } from './qmp.js';
import { machineFiles, type MachineFiles } from './record.js';
import type { Template } from './template.js';
import { makeFolder } from '../../host/files.js';

/** What a clone is asked to be. */
export interface CloneRequest {
  readonly id: string;
  readonly binary: string;
  /** Whatever is there is removed first. */
  readonly folder: string;
  readonly diskBytes: MachineShape['diskBytes'];
  readonly network: GuestNetwork;
}

/** A clone that runs, and what it was started as. */
export interface Clone {
  readonly process: QemuProcess;
  readonly definition: QemuDefinition;
}

/** Makes a machine from a template: overlays on its disks, its memory copied on write, its devices' state read. The guest runs. */
export async function cloneTemplate(template: Template, request: CloneRequest, work: Work): Promise<Clone> {
  const { folder, id, binary, network } = request;
  const files = machineFiles(folder);
  await killMachine(folder);
  await rm(folder, { recursive: true, force: true });
  await makeFolder(folder);
  await overlay(template, files, work.signal);
  const hardware: Hardware = {
    ...template.hardware,
    disks: [
      ...(template.liveDisks === 1 ? [files.system] : []),
      ...request.diskBytes.map((_, index) => files.target(index)),
    ],
  };
  const wiring: Omit<Wiring, 'incoming'> = {
    name: `nixproof-${id}`,
    memory: { kind: 'frozen', file: template.files.memory, access: 'copy' },
    ...(template.uefiCode === undefined ? {} : { uefi: { code: template.uefiCode, variables: files.variables } }),
    sockets: nameSockets(folder),
  };
  const args = qemuArguments(hardware, { ...wiring, incoming: true });
  const { qmp: opened, ...process } = await launch(binary, args, {
    folder,
    id,
    network,
    paused: true,
    signal: work.signal,
  });
  await using qmp = opened;
  await thaw(qmp, template, request, work.signal);
  return { process, definition: { binary, args: qemuArguments(hardware, { ...wiring, incoming: false }) } };
}

async function overlay(template: Template, files: MachineFiles, signal: AbortSignal): Promise<void> {
  const pairs: [string, string][] = template.liveDisks === 1 ? [[files.system, template.files.system]] : [];
  if (template.uefiCode !== undefined) pairs.push([files.variables, template.files.variables]);
  for (const index of template.hardware.disks.slice(template.liveDisks).keys())
    pairs.push([files.target(index), template.files.target(index)]);
  await Promise.all(pairs.map(([file, backing]) => createOverlay(file, backing, 'qcow2', signal)));
}

async function thaw(
  qmp: Qmp,
  template: Template,
  { folder, diskBytes }: CloneRequest,
  signal: AbortSignal,
): Promise<void> {
  await shareMemory(qmp);
  await readState(qmp, { file: template.files.state, sockets: socketsFolder(folder) }, signal);
  await activateDisks(qmp);
  // The guest's driver has read the template's blank disks; it is told their new sizes as a disk's that was grown.
  for (const [index, size] of diskBytes.entries())
    await qmp.execute('block_resize', { device: diskId(template.liveDisks + index), size });
  await qmp.execute('cont');
}
