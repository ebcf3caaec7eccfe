import { folderBytes } from '../host/files.js';
import { machineOf, runOfMachine } from '../domain/names.js';
import { EXIT } from '../domain/verdict.js';
import { messageOf } from '../domain/error.js';
import { endOf, isKept, type RunReport } from '../domain/run.js';
import type { Session } from './session.js';

/** Something that can go, and what it takes. */
export interface Leftover {
  readonly what: string;
  readonly bytes: number;
  remove(): Promise<void>;
}

/**
 * Says what goes and how much that is, and removes it unless this is a trial. What cannot be
 * removed keeps nothing else from going: it is named at the end.
 */
export async function sweep(session: Session, leftovers: readonly Leftover[], dryRun: boolean): Promise<number> {
  const { bytesText } = await import('../reports/quantities.js');
  for (const { what, bytes } of leftovers) session.say(`${what}  ${bytesText(bytes)}`);
  const failed = dryRun ? new Map<Leftover, string>() : await removeAll(session, leftovers);
  const removed = leftovers.filter((leftover) => !failed.has(leftover));
  const total = removed.reduce((sum, { bytes }) => sum + bytes, 0);
  if (session.json) {
    const shown = {
      removed: removed.map(({ what, bytes }) => ({ what, bytes })),
      failed: [...failed].map(([{ what }, error]) => ({ what, error })),
    };
    session.printJson({ dryRun, bytes: total, ...shown });
  }
  session.say(leftovers.length === 0 ? 'nothing to remove' : `${dryRun ? 'would free' : 'freed'} ${bytesText(total)}`);
  for (const [{ what }, error] of failed) session.progress(`could not remove ${what}: ${error}`);
  if (failed.size === 0) return EXIT.ok;
  session.progress('run the same again as the user who owns those files, or as root');
  return EXIT.fault;
}

/** @returns what could not be removed, and why */
async function removeAll(session: Session, leftovers: readonly Leftover[]): Promise<ReadonlyMap<Leftover, string>> {
  const failed = new Map<Leftover, string>();
  for (const leftover of leftovers) {
    try {
      await leftover.remove();
    } catch (error) {
      session.signal.throwIfAborted();
      failed.set(leftover, messageOf(error));
    }
  }
  return failed;
}

/** What a machine is called here. */
export function machineText(id: string): string {
  return `machine ${id}`;
}

/**
 * Machines of runs that have ended, half-made ones whose maker has ended, and processes without a
 * machine. Machines made by hand stay.
 * @param keptBefore milliseconds since the epoch: machines that outlive their run on purpose go if
 * it ended before then
 */
export async function machineLeftovers(session: Session, keptBefore: number, by: string): Promise<Leftover[]> {
  const { createRegistry } = await import('../machines/registry.js');
  const { recordRemoval } = await import('../records/machine-removed.js');
  const { machineFolder, machineIds } = await import('../machines/record.js');
  const { findOrphans } = await import('../machines/orphans.js');
  const { findRuns } = await import('./runs.js');
  const { layout } = session;
  const registry = createRegistry(layout);
  const runs = new Map((await findRuns(session)).map((run) => [run.run, run]));
  const leftovers: Leftover[] = [];
  for (const id of await machineIds(layout)) {
    if (await isWanted(session, id, runs.get(id) ?? runs.get(runOfMachine(id)), keptBefore)) continue;
    leftovers.push({
      what: machineText(id),
      bytes: await folderBytes(machineFolder(layout, id)),
      async remove() {
        await registry.destroy(id, session);
        await recordRemoval(layout, id, by);
      },
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
  keptBefore: number,
): Promise<boolean> {
  const { lockOwner } = await import('../host/lock.js');
  const { madeByHand, makingLock } = await import('../machines/by-hand.js');
  if (run?.verdict === null) return true;
  if ((await lockOwner(makingLock(layout, id))) !== undefined || (await madeByHand(layout, id))) return true;
  if (run === undefined || machineOf(run) !== id || endOf(run) < keptBefore) return false;
  const { readRunRequest } = await import('../records/artifacts.js');
  return isKept((await readRunRequest(layout.runs, run.run))?.keep ?? 'never', run.verdict);
}
