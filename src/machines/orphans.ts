import path from 'node:path';
import { isFolder } from '../host/files.js';
import { lockOwner } from '../host/lock.js';
import type { Layout } from '../host/paths.js';
import { processesWithVariable, terminate } from '../host/process.js';
import { killMachine, MACHINE_FOLDER } from './qemu/launch.js';

/** Processes of a machine that is not there any more. */
export interface Orphans {
  /** The folder that the machine had, or was about to get. */
  readonly folder: string;
  readonly processes: number;
  end(): Promise<void>;
}

/**
 * Processes that machines of this home have left behind: their folder is gone, or they are a template's that nobody makes any
 * more. What a folder without a record still runs goes with that folder.
 */
export async function findOrphans(layout: Layout): Promise<readonly Orphans[]> {
  return [...(await qemuOrphans(layout)), ...(await sandboxOrphans(layout))];
}

async function qemuOrphans(layout: Layout): Promise<readonly Orphans[]> {
  const homes = [layout.machines, layout.bases].map((folder) => `${path.resolve(folder)}${path.sep}`);
  const folders = await foldersOf(MACHINE_FOLDER, (folder) => homes.some((home) => folder.startsWith(home)));
  const orphans = await Promise.all(
    folders.map(async ([folder, processes]) =>
      (await isInUse(folder)) ? [] : [{ folder, processes: processes.length, end: () => killMachine(folder) }],
    ),
  );
  return orphans.flat();
}

/** A template has a hidden folder while it is made, under the lock of its final name (qemu/template.ts). */
async function isInUse(folder: string): Promise<boolean> {
  const name = path.basename(folder);
  if (!name.startsWith('.')) return isFolder(folder);
  return (await lockOwner(path.join(path.dirname(folder), `${name.slice(1)}.lock`))) !== undefined;
}

async function sandboxOrphans(layout: Layout): Promise<readonly Orphans[]> {
  const home = `${path.resolve(layout.machines)}${path.sep}`;
  const roots = await foldersOf('NIXPROOF_ROOT', (root) => path.resolve(root).startsWith(home));
  const orphans = await Promise.all(
    roots.map(async ([root, processes]) => {
      const folder = path.dirname(root);
      const end = async () => {
        await Promise.all(processes.map((identity) => terminate(identity, 1000)));
      };
      return (await isFolder(folder)) ? [] : [{ folder, processes: processes.length, end }];
    }),
  );
  return orphans.flat();
}

/** Processes by the folder that a variable of their environment names. */
async function foldersOf(variable: string, isWanted: (folder: string) => boolean) {
  const folders = new Map<string, Awaited<ReturnType<typeof processesWithVariable>>[number]['identity'][]>();
  for (const { identity, value } of await processesWithVariable(variable, isWanted)) {
    folders.set(value, [...(folders.get(value) ?? []), identity]);
  }
  return [...folders];
}
