import path from 'node:path';
import type { ExistingMachine } from '../../domain/profile.js';
import type { Layout } from '../../host/paths.js';
import type { MachineInfo } from '../machine.js';

/**
 * The ssh driver's machine.json: which machine a run has, and how far it got with it. Written before and after everything that
 * changes the machine, so that whoever reads it knows what to go on with.
 */
export interface SshRecord extends MachineInfo {
  readonly driver: 'ssh';
  readonly host: ExistingMachine;
  /**
   * `preparing`: it is to be reset, or may be half through it. `restarting`: the live system was given up, the installed one
   * may or may not have been started.
   */
  readonly stage: 'preparing' | 'live' | 'restarting' | 'installed';
  /** Of the system that ran when this was written; undefined while preparing. */
  readonly system: BootedSystem | undefined;
}

/** What tells one boot of one system from any other. */
export interface BootedSystem {
  readonly hostKey: string;
  /** Empty where the system has none. */
  readonly bootId: string;
}

/** The files of one existing machine, shared by all runs that ever have it. */
export interface HostFiles {
  readonly lease: string;
  readonly hostKey: string;
}

/** Named for where it answers: two names for one machine, in two configurations, are one machine. */
export function hostFiles(layout: Layout, { address, port }: ExistingMachine): HostFiles {
  const folder = path.join(layout.hosts, `${address.toLowerCase()}:${port}`);
  return { lease: path.join(folder, 'lease.json'), hostKey: path.join(folder, 'host-key.json') };
}
