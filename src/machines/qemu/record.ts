import path from 'node:path';
import type { GuestNetwork, MachineShape } from '../../domain/profile.js';
import type { Layout } from '../../host/paths.js';
import { isAlive } from '../../host/process.js';
import type { MachineInfo } from '../machine.js';
import { readRecord } from '../record.js';
import type { QemuDefinition } from './checkpoints.js';
import type { QemuProcess } from './launch.js';

/**
 * The qemu driver's machine.json. It is written when a machine is complete, and again before and after every change of
 * what runs, so that whoever reads it knows what to go on with.
 */
export interface QemuRecord extends MachineInfo {
  readonly driver: 'qemu';
  readonly shape: MachineShape;
  /** How many disks of the live system come before the target disks; absent in older records: one. */
  readonly liveDisks?: 0 | 1;
  /** Whether the live system has a root shell on its console; absent in older records: it was not asked for. */
  readonly console?: boolean;
  /** How it runs, for people. */
  readonly detail: string;
  /** `restarting`: the live system was given up, the installed one may or may not have been started. */
  readonly stage: 'live' | 'restarting' | 'installed';
  /** Undefined only while restarting. */
  readonly process: QemuProcess | undefined;
  readonly hostKey: string | undefined;
  /** What the live machine was started as, and the host key it presents: what its checkpoints are brought back in. */
  readonly live: { readonly definition: QemuDefinition; readonly hostKey: string };
}

/** The files in a machine's folder. */
export interface MachineFiles {
  readonly folder: string;
  readonly console: string;
  /** The live system's disk. */
  readonly system: string;
  readonly variables: string;
  target(index: number): string;
}

export function machineFiles(folder: string): MachineFiles {
  return {
    folder,
    console: path.join(folder, 'console.log'),
    system: path.join(folder, 'system.qcow2'),
    variables: path.join(folder, 'variables.qcow2'),
    target: (index) => path.join(folder, `disk-${index + 1}.qcow2`),
  };
}

/** Whether its QEMU is alive. */
export async function runs({ process }: QemuRecord): Promise<boolean> {
  return process !== undefined && (await isAlive(process.identity));
}

/** Whether the machine of this name is one of ours, and its QEMU alive. */
export async function runsById(layout: Layout, id: string): Promise<boolean> {
  const record = await readRecord<QemuRecord>(layout, id);
  return record?.driver === 'qemu' && (await runs(record));
}

/** What the machine's guest may reach. */
export function networkOf({ network = 'internet' }: MachineShape): GuestNetwork {
  return network;
}
