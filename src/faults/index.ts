import { FAULT_NAMES, type FaultName } from '../domain/fault.js';
import type { DriverName } from '../domain/profile.js';
import { CACHE_FAULTS } from './cache.js';
import type { Fault } from './fault.js';
import { MACHINE_FAULTS } from './machine.js';
import { NETWORK_FAULTS } from './network.js';
import { SPACE_FAULTS } from './space.js';

const ALL = [...NETWORK_FAULTS, ...CACHE_FAULTS, ...SPACE_FAULTS, ...MACHINE_FAULTS];

/** Every fault there is, in the order of `FAULT_NAMES`. */
export const FAULTS: readonly Fault[] = FAULT_NAMES.map(faultNamed);

export function faultNamed(name: FaultName): Fault {
  const fault = ALL.find((one) => one.name === name);
  if (fault === undefined) throw new Error(`the table of faults lacks ${name}`);
  return fault;
}

/** Those that machines of a driver can suffer. */
export function faultsFor(driver: DriverName): readonly Fault[] {
  return FAULTS.filter(({ drivers }) => drivers.includes(driver));
}
