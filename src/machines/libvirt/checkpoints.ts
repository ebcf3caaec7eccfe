import { hasCode, NixproofError } from '../../domain/error.js';
import { readJson, writeJson } from '../../host/files.js';
import type { CheckpointRecord, Work } from '../machine.js';
import { requireDisk } from '../../host/capacity.js';
import { vmStateBytes, withinBudget } from '../qemu/checkpoints.js';
import { askMonitor } from './domain.js';
import { prepareSockets } from './guest-io.js';
import type { DomainIdentity } from './identity.js';
import type { FrozenState, LibvirtFiles, LibvirtRecord } from './record.js';
import type { Virsh } from './virsh.js';

/** What the checkpoints of one machine may take together; the newest stays in any case. */
const BUDGET_BYTES = 8 * 1024 ** 3;
const MIB = 1024 * 1024;
/** A few gigabytes of memory, written to a slow disk. */
const SNAPSHOT_MS = 10 * 60_000;

/** A machine as its checkpoints see it. */
export interface Frozen {
  readonly virsh: Virsh;
  readonly identity: DomainIdentity;
  readonly files: LibvirtFiles;
  readonly record: LibvirtRecord;
}

/** What is on record, oldest first. */
export async function frozenStates(files: LibvirtFiles): Promise<readonly FrozenState[]> {
  return (await readJson<readonly FrozenState[]>(files.checkpoints)) ?? [];
}

/** A frozen state as the machine contract has it. */
export function checkpointOf({ name, takenAt, tookMs, bytes }: FrozenState): CheckpointRecord {
  return { name, takenAt, tookMs, bytes };
}

/**
 * Freezes a running machine into its own disk images (virsh snapshot-create-as; internal, so QEMU's savevm): memory and devices,
 * every disk and the firmware's variables, at one moment. libvirt keeps the domain's definition of that moment with it.
 */
export async function takeCheckpoint(machine: Frozen, name: string, { signal, progress }: Work): Promise<FrozenState> {
  const { virsh, identity, files, record } = machine;
  const { uuid } = identity;
  const known = await frozenStates(files);
  const before = known.find((one) => one.name === name);
  if (before) return before;
  await requireDisk(files.folder, record.shape.memoryMiB * MIB, 'a checkpoint');
  progress(`freezing the checkpoint ${name}`);
  // An earlier try may have been cut off behind it.
  if ((await snapshotNames(virsh, identity)).includes(name)) await virsh.run(['snapshot-delete', uuid, name]);
  const started = performance.now();
  await snapshot(virsh, ['snapshot-create-as', uuid, name], signal);
  const tookMs = Math.round(performance.now() - started);
  const bytes = vmStateBytes(await askMonitor(virsh, identity, 'info snapshots', signal), name);
  const { stage, hostKey } = record;
  const state: FrozenState = { name, takenAt: new Date().toISOString(), tookMs, bytes, stage, hostKey };
  const { kept, dropped } = withinBudget([...known, state], BUDGET_BYTES);
  await writeJson(files.checkpoints, kept);
  for (const old of dropped) await snapshot(virsh, ['snapshot-delete', uuid, old.name], signal);
  return state;
}

/** Puts a machine back, as it was defined then; starts it where it does not run. Gives what is on record of the state. */
export async function restoreCheckpoint(
  machine: Frozen,
  name: string,
  { signal, progress }: Work,
): Promise<FrozenState> {
  const { virsh, identity, files, record } = machine;
  const state = (await frozenStates(files)).find((one) => one.name === name);
  if (!state) {
    throw new NixproofError('MACHINE_CHECKPOINT_MISSING', `the machine ${identity.id} has no checkpoint ${name}`, {
      hint: 'old ones are dropped where they take too much disk',
    });
  }
  progress(`going back to the checkpoint ${name}`);
  await prepareSockets(files.folder);
  // Its packet filter is connected before its guest runs.
  const paused = record.shape.libvirtNetwork === undefined;
  // Forced: what runs may be defined in another way than what is restored.
  await snapshot(virsh, ['snapshot-revert', identity.uuid, name, paused ? '--paused' : '--running', '--force'], signal);
  return state;
}

async function snapshotNames(virsh: Virsh, { uuid }: DomainIdentity): Promise<readonly string[]> {
  return (await virsh.run(['snapshot-list', uuid, '--name'])).split('\n').map((line) => line.trim());
}

async function snapshot(virsh: Virsh, args: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await virsh.run(args, { signal, timeoutMs: SNAPSHOT_MS });
  } catch (error) {
    if (!hasCode(error, 'MACHINE_LIBVIRT')) throw error;
    throw new NixproofError('MACHINE_CHECKPOINT', error.message, { details: error.details, cause: error });
  }
}
