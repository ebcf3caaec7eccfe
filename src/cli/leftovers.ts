import { folderBytes } from '../host/files.js';
import { machineOf, runOfMachine } from '../domain/names.js';
import { EXIT } from '../domain/verdict.js';
import type { RunReport } from '../domain/run.js';
import type { Session } from './session.js';

/** Something that can go, and what it takes. */
export interface Leftover {
  readonly what: string;
  readonly bytes: number;
  remove(): Promise<void>;
}

/** Says what goes and how much that is, and removes it unless this is a trial. */
export async function sweep(session: Session, leftovers: readonly Leftover[], dryRun: boolean): Promise<number> {
  const { bytesText } = await import('../reports/quantities.js');
  for (const { what, bytes } of leftovers) session.say(`${what}  ${bytesText(bytes)}`);
  const total = leftovers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (!dryRun) for (const leftover of leftovers) await leftover.remove();
  if (session.json) {
    const removed = leftovers.map(({ what, bytes }) => ({ what, bytes }));
    session.print(`${JSON.stringify({ dryRun, bytes: total, removed }, null, 2)}\n`);
  }
  session.say(leftovers.length === 0 ? 'nothing to remove' : `${dryRun ? 'would free' : 'freed'} ${bytesText(total)}`);
  return EXIT.ok;
}

/**
 * Machines of runs that have ended, half-made ones that nobody makes any more, and processes without a machine. Machines made by
 * hand stay; `kept` says whether those that outlive their run on purpose go.
 */
export async function machineLeftovers(session: Session, kept: 'kept go too' | 'kept stay'): Promise<Leftover[]> {
  const { createRegistry } = await import('../machines/registry.js');
  const { machineFolder, machineIds } = await import('../machines/record.js');
  const { findOrphans } = await import('../machines/orphans.js');
  const { findRuns } = await import('./runs.js');
  const { layout } = session;
  const registry = createRegistry(layout);
  const runs = new Map((await findRuns(session)).map((run) => [run.run, run]));
  const leftovers: Leftover[] = [];
  for (const id of await machineIds(layout)) {
    if (await isWanted(session, id, runs.get(id) ?? runs.get(runOfMachine(id)), kept)) continue;
    leftovers.push({
      what: `machine ${id}`,
      bytes: await folderBytes(machineFolder(layout, id)),
      remove: () => registry.destroy(id, session),
    });
  }
  for (const orphans of await findOrphans(layout)) {
    const count = orphans.processes === 1 ? 'a process' : `${orphans.processes} processes`;
    leftovers.push({ what: `${count} of ${orphans.folder}`, bytes: 0, remove: () => orphans.end() });
  }
  return leftovers;
}

async function isWanted(
  { layout }: Session,
  id: string,
  run: RunReport | undefined,
  kept: 'kept go too' | 'kept stay',
): Promise<boolean> {
  const { lockOwner } = await import('../host/lock.js');
  const { madeByHand, makingLock } = await import('../machines/by-hand.js');
  if (run?.verdict === null) return true;
  if ((await lockOwner(makingLock(layout, id))) !== undefined || (await madeByHand(layout, id))) return true;
  return kept === 'kept stay' && run !== undefined && machineOf(run) === id && (await isKept(layout.runs, run));
}

/** As the run's workflow decides it: what was asked, and how it ended. */
async function isKept(runsFolder: string, { run, verdict }: RunReport): Promise<boolean> {
  const { readRunRequest } = await import('../records/artifacts.js');
  const keep = (await readRunRequest(runsFolder, run))?.keep ?? 'never';
  return keep === 'always' || (keep === 'failed' && (verdict === 'failed' || verdict === 'error'));
}
