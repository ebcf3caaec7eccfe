import path from 'node:path';
import type { MachineShape } from '../../domain/profile.js';
import type { CheckpointRecord, MachineInfo } from '../machine.js';
import { machineFiles, type MachineFiles } from '../qemu/record.js';

/**
 * The libvirt driver's machine.json. It is written when a machine is complete, and again before and after every change of
 * what runs, so that whoever reads it knows what to go on with.
 */
export interface LibvirtRecord extends MachineInfo {
  readonly driver: 'libvirt';
  readonly shape: MachineShape;
  /** How it runs, for people. */
  readonly detail: string;
  /** Where its domain is. */
  readonly uri: string;
  /** `restarting`: the live system was given up, the installed one may or may not have been started. */
  readonly stage: 'live' | 'restarting' | 'installed';
  /** How many disks the live system has, before the target disks. */
  readonly liveDisks: number;
  /** Where it answered SSH last. */
  readonly address: Address;
  readonly hostKey: string | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A frozen state, and what goes with it: what ran, and the host key it presents. */
export interface FrozenState extends CheckpointRecord {
  readonly stage: LibvirtRecord['stage'];
  readonly hostKey: string | undefined;
}

/** The files in a machine's folder. */
export interface LibvirtFiles extends MachineFiles {
  /** What libvirt was told last. */
  readonly domain: string;
  /** Where its domain is, written before there is one. */
  readonly uri: string;
  readonly checkpoints: string;
}

export function libvirtFiles(folder: string): LibvirtFiles {
  return {
    ...machineFiles(folder),
    domain: path.join(folder, 'domain.xml'),
    uri: path.join(folder, 'libvirt-uri'),
    checkpoints: path.join(folder, 'checkpoints.json'),
  };
}
