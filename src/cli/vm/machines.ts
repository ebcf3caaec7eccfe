import { NixproofError } from '../../domain/error.js';
import { runOfMachine } from '../../domain/names.js';
import type { Machine } from '../../machines/machine.js';
import type { Registry } from '../../machines/registry.js';
import type { Session } from '../session.js';

export async function registryOf(session: Session): Promise<Registry> {
  const { createRegistry } = await import('../../machines/registry.js');
  return createRegistry(session.layout);
}

/** @throws NixproofError `CONFIG_UNKNOWN_MACHINE` */
export async function registryOfKnown(session: Session, ids: readonly string[]): Promise<Registry> {
  const registry = await registryOf(session);
  const known = new Set((await registry.list()).map(({ id }) => id));
  const unknown = ids.filter((id) => !known.has(id));
  if (unknown.length === 0) return registry;
  throw new NixproofError('CONFIG_UNKNOWN_MACHINE', `there is no machine ${unknown.join(', ')} on this host`, {
    hint: 'see `nixproof vm list`',
  });
}

/** @throws NixproofError `CONFIG_MACHINE_BUSY` where a run that has not ended has this machine */
export async function requireIdle({ layout }: Session, id: string, otherwise = ''): Promise<void> {
  const { readRunReport } = await import('../../records/artifacts.js');
  if ((await readRunReport(layout.runs, runOfMachine(id)))?.verdict !== null) return;
  throw new NixproofError(
    'CONFIG_MACHINE_BUSY',
    `the run ${runOfMachine(id)} has not ended, and needs its machine as it is`,
    {
      hint: `end it first: \`nixproof cancel ${runOfMachine(id)}\`${otherwise}`,
      details: { machine: id },
    },
  );
}

/** @throws NixproofError `CONFIG_UNKNOWN_MACHINE`, `MACHINE_GONE` */
export async function attachKnown(session: Session, id: string): Promise<Machine> {
  return (await registryOfKnown(session, [id])).attach(id, session);
}

/** An ability of a machine. @throws NixproofError `UNSUPPORTED_ABILITY` where its driver has it not */
export function requireAbility<K extends 'console' | 'screen'>(machine: Machine, ability: K): NonNullable<Machine[K]> {
  const found = machine[ability];
  if (found !== undefined) return found;
  const { id, driver } = machine.info;
  throw new NixproofError('UNSUPPORTED_ABILITY', `the machine ${id} has no ${ability}: its driver is ${driver}`, {
    hint: 'docs/drivers.md says which driver has what',
    details: { machine: id, driver, ability },
  });
}
