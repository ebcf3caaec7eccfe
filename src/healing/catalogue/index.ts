import type { FailureClass } from '../../domain/diagnosis.js';
import type { Heal } from '../../domain/heal.js';
import { CLOCK } from './clock.js';
import { DISK } from './disk.js';
import { DISK_USE } from './disk-use.js';
import { DNS } from './dns.js';
import { ENDS } from './ends.js';
import { HARDWARE_HEALS } from './hardware.js';
import { LOCK_HEALS } from './locks.js';
import { MEMORY } from './memory.js';
import { NETWORK } from './network.js';
import { NIX } from './nix.js';
import { SPACE } from './space.js';

/** Every built-in heal. Adding one is adding an entry to its family's table. */
export const CATALOGUE: readonly Heal[] = [
  ...DISK,
  ...DISK_USE,
  ...DNS,
  ...NETWORK,
  ...CLOCK,
  ...NIX,
  ...MEMORY,
  ...SPACE,
  ...LOCK_HEALS,
  ...HARDWARE_HEALS,
  ...ENDS,
];

/** The heals of a class, the most promising first. Which of them can help on a machine, only its probes tell. */
export function healsFor(name: FailureClass): readonly Heal[] {
  return CATALOGUE.filter((heal) => heal.for.includes(name)).sort((a, b) => b.confidence - a.confidence);
}
