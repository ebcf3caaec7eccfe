import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { GuestNetwork } from '../../domain/profile.js';
import { readJson, writeJson } from '../../host/files.js';
import { isAlive } from '../../host/process.js';
import { requireDisk } from '../../host/capacity.js';
import type { CheckpointRecord, Work } from '../machine.js';
import { SOCKETS } from './command-line.js';
import { keepGoing } from './guest-io.js';
import { endProcesses, launch, socketsFolder, type QemuProcess } from './launch.js';
import { shareMemory } from './migration.js';
import { connectQmp, type Qmp } from './qmp.js';

/** What the checkpoints of one machine may take together; the newest stays in any case. */
const BUDGET_BYTES = 8 * 1024 ** 3;
const MIB = 1024 * 1024;

/** The QEMU that a machine was started as, to the letter: what its frozen states fit. */
export interface QemuDefinition {
  readonly binary: string;
  readonly args: readonly string[];
}

/** A machine as its checkpoints see it. */
export interface Frozen {
  readonly id: string;
  readonly folder: string;
  readonly memoryMiB: number;
  readonly network: GuestNetwork;
  readonly definition: QemuDefinition;
}

function listFile(folder: string): string {
  return path.join(folder, 'checkpoints.json');
}

/** What is on record, oldest first. */
export async function listCheckpoints(folder: string): Promise<readonly CheckpointRecord[]> {
  return (await readJson<readonly CheckpointRecord[]>(listFile(folder))) ?? [];
}

/**
 * Freezes a running machine into its own disk images (QEMU: savevm): memory and devices, every disk and the firmware's
 * variables, all qcow2, at one moment.
 */
export async function takeCheckpoint(machine: Frozen, name: string, work: Work): Promise<CheckpointRecord> {
  const { folder, memoryMiB } = machine;
  const known = await listCheckpoints(folder);
  const before = known.find((one) => one.name === name);
  if (before) return before;
  await requireDisk(folder, memoryMiB * MIB, 'a checkpoint');
  work.progress(`freezing the checkpoint ${name}`);
  await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
  const started = performance.now();
  // Where an earlier try was cut off behind it, the snapshot is there already and this one takes its place.
  await monitor(qmp, `savevm ${name}`);
  const tookMs = Math.round(performance.now() - started);
  const bytes = vmStateBytes(await qmp.human('info snapshots'), name);
  const record: CheckpointRecord = { name, takenAt: new Date().toISOString(), tookMs, bytes };
  const { kept, dropped } = withinBudget([...known, record], BUDGET_BYTES);
  await writeJson(listFile(folder), kept);
  for (const old of dropped) await monitor(qmp, `delvm ${old.name}`);
  return record;
}

/** Puts a machine back. Gives the process it runs in from then on: the same, or a new one where it had died. */
export async function restoreCheckpoint(
  machine: Frozen,
  process: QemuProcess | undefined,
  name: string,
  work: Work,
): Promise<QemuProcess> {
  const { folder, id, network, definition } = machine;
  if (!(await listCheckpoints(folder)).some((one) => one.name === name)) throw missing(id, name);
  work.progress(`going back to the checkpoint ${name}`);
  if (process && (await isAlive(process.identity))) {
    // Afterwards it runs: with its packet filter.
    await keepGoing(folder, work.signal);
    await using qmp = await connectQmp(path.join(socketsFolder(folder), SOCKETS.qmp));
    await load(qmp, name);
    return process;
  }
  await endProcesses(folder);
  const { qmp: opened, ...started } = await launch(definition.binary, definition.args, {
    folder,
    id,
    network,
    paused: true,
    signal: work.signal,
  });
  await using qmp = opened;
  // The state was written by a QEMU that had been told so: a reader that was not refuses it.
  await shareMemory(qmp);
  await load(qmp, name);
  return started;
}

async function load(qmp: Qmp, name: string): Promise<void> {
  await monitor(qmp, `loadvm ${name}`);
  // It stays stopped where it was: at its start, or after a guest's panic.
  await qmp.execute('cont');
}

function missing(id: string, name: string): NixproofError {
  return new NixproofError('MACHINE_CHECKPOINT_MISSING', `the machine ${id} has no checkpoint ${name}`, {
    hint: 'old ones are dropped where they take too much disk',
  });
}

/** The oldest go first; the newest stays. */
export function withinBudget(
  checkpoints: readonly CheckpointRecord[],
  budgetBytes: number,
): { readonly kept: readonly CheckpointRecord[]; readonly dropped: readonly CheckpointRecord[] } {
  let left = budgetBytes;
  let first = checkpoints.length - 1;
  left -= checkpoints.at(-1)?.bytes ?? 0;
  while (first > 0 && left - (checkpoints[first - 1]?.bytes ?? 0) >= 0) {
    first -= 1;
    left -= checkpoints[first]?.bytes ?? 0;
  }
  return { kept: checkpoints.slice(Math.max(0, first)), dropped: checkpoints.slice(0, Math.max(0, first)) };
}

/** A human monitor's command says nothing where it worked. */
async function monitor(qmp: Qmp, commandLine: string): Promise<void> {
  const said = (await qmp.human(commandLine)).trim();
  if (said === '') return;
  throw new NixproofError('MACHINE_CHECKPOINT', `QEMU refused ${commandLine}: ${said}`);
}

const UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: MIB, GiB: 1024 ** 3 };

/** The size of a snapshot's memory and devices, from the text of `info snapshots` (`--  phase-1  213 MiB 2026-…`). */
export function vmStateBytes(table: string, name: string): number {
  for (const line of table.split('\n')) {
    const [, tag, amount, unit] = /^\s*\S+\s+(\S+)\s+([\d.]+) (\w+)\s/.exec(line) ?? [];
    if (tag === name) return Math.round(Number(amount) * (UNITS[unit ?? ''] ?? 1));
  }
  return 0;
}
