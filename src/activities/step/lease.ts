import { Context } from '@temporalio/activity';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import type { RunRequest } from '../../domain/run.js';
import { insideFence, type Fence } from '../../host/fence.js';
import { makeFolder, isErrno, namesIn } from '../../host/files.js';
import { refuseDeadly } from '../../host/step-watch/watch.js';
import type { Layout } from '../../host/paths.js';
import { runFiles } from '../../records/artifacts.js';
import { requireNotEnded } from './ended-run.js';
import { withSourceHere } from './pinned-source.js';
import { requireNames } from './request-names.js';
import { inActivity } from './temporal.js';

/**
 * One try of one step. A run's steps come one after the other, so of two tries the one of the later step is the newer, and of one
 * step's tries the one that was begun later.
 */
export interface Try {
  /** The execution of the workflow: one that was reset or continued has another, and the last one counts. */
  readonly execution: string;
  readonly step: number;
  readonly attempt: number;
}

/**
 * Takes a run's machine and artifacts over for one try: a folder `lease/<try>`, which the next renames to its own. Whoever finds
 * its folder gone has been taken over. An older try that comes late gets no lease at all. A renaming needs no room: a run whose disk is
 * full still comes to the step that gives its machine back.
 * @param machine one of several on which steps of the run are done side by side; each has a lease of its own
 * @throws NixproofError `INTERNAL_LEASE_LOST`
 */
export async function takeLease(runFolder: string, mine: Try, machine?: string): Promise<Fence> {
  const leases = path.join(runFolder, machine === undefined ? 'lease' : `lease-${machine}`);
  const name = nameOf(mine);
  const folder = path.join(leases, name);
  const others = async () => (await readdir(leases)).filter((other) => other !== name);
  await makeFolder(leases);
  await inherit(leases, name, others);
  await makeFolder(folder);
  // Another may have come meanwhile: one that saw no elder, or one that took this folder.
  const found = await others();
  if (found.some((other) => isNewer(other, name))) {
    await rm(folder, { recursive: true, force: true });
    throw lost(name);
  }
  for (const older of found) await rm(path.join(leases, older), { recursive: true, force: true });
  return {
    root: runFolder,
    folder,
    async check() {
      if (!(await stat(folder).catch(() => undefined))) throw lost(name);
    },
  };
}

/** Makes an elder's folder that of `name`, without what was begun in it; does nothing where there is none. */
async function inherit(leases: string, name: string, others: () => Promise<readonly string[]>): Promise<void> {
  for (;;) {
    const found = await others();
    if (found.some((other) => isNewer(other, name))) throw lost(name);
    const [elder] = found;
    if (elder === undefined) return;
    const folder = path.join(leases, name);
    try {
      await rename(path.join(leases, elder), folder);
    } catch (error) {
      // Another took it, or this try has one already.
      if (isErrno(error, 'ENOENT')) continue;
      if (isErrno(error, 'ENOTEMPTY') || isErrno(error, 'EEXIST')) return;
      throw error;
    }
    await removeBegun(folder);
    return;
  }
}

/** A newer try may have taken the folder meanwhile. */
async function removeBegun(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) await rm(path.join(folder, name), { recursive: true, force: true });
}

function nameOf({ execution, step, attempt }: Try): string {
  return [execution, String(step).padStart(6, '0'), String(attempt).padStart(4, '0')].join('.');
}

function isNewer(name: string, than: string): boolean {
  return name.split('.')[0] === than.split('.')[0] && name > than;
}

function lost(name: string): NixproofError {
  return new NixproofError('INTERNAL_LEASE_LOST', 'another worker has taken this step over', {
    details: { lease: name },
  });
}

type Activity = (request: RunRequest, ...rest: never[]) => Promise<unknown>;

/** The same activities, each inside the fence of its own lease. */
export function leased<A extends Readonly<Record<string, Activity>>>(layout: Layout, activities: A): A {
  const fenced = Object.entries(activities).map(([name, activity]): [string, Activity] => [
    name,
    async (request, ...rest) => {
      const { activityId, attempt, workflowExecution } = Context.current().info;
      const mine = { execution: workflowExecution?.runId ?? '', step: Number(activityId), attempt };
      const lease = await inActivity(async () => {
        requireNames(request);
        // What another workflow does for a run is what the run left behind.
        if (workflowExecution?.workflowId === request.run) {
          await requireNotEnded(layout.runs, request.run, mine.execution);
        }
        return takeLease(runFiles(layout.runs, request.run).folder, mine, request.machine);
      });
      await inActivity(() => refuseDeadly(lease.folder));
      return insideFence(lease, () => activity(withSourceHere(request, layout), ...rest));
    },
  ]);
  return Object.fromEntries(fenced) as A;
}
