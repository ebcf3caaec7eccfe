import type { Fork } from '../../domain/heal.js';
import type { Machine, Work } from '../../machines/machine.js';

/** Makes these machines of one, as far as its driver can and its host has room; gives the names of those that were made. */
export async function forkMachine(machine: Machine, forks: readonly Fork[], work: Work): Promise<readonly string[]> {
  const made: string[] = [];
  for (const fork of forks) {
    const { checkpoint, machine: id } = fork;
    if (!(await machine.checkpoints?.fork?.(checkpoint, id, work))) break;
    made.push(id);
  }
  return made;
}
