import { Context } from '@temporalio/activity';
import { messageOf } from '../../domain/error.js';
import { runOfMachine } from '../../domain/names.js';
import { isFull } from '../../host/disk-space.js';
import type { Layout } from '../../host/paths.js';
import type { Work } from '../../machines/machine.js';
import { machineIds } from '../../machines/record.js';
import { artifactQuota, keepWithin } from '../../history/quota.js';

/**
 * Keeps the artifacts of all runs within their quota when a run has ended. It and runs that have a machine, going ones and those whose
 * machine is kept, lose nothing. What goes wrong here is no fault of the run.
 */
export async function makeRoom(layout: Layout, run: string, work: Work): Promise<void> {
  const withMachine = (await machineIds(layout)).map(runOfMachine);
  try {
    await keepWithin(layout, artifactQuota(), new Set([run, ...withMachine]), work);
  } catch (error) {
    if (work.signal.aborted || isFull(error)) throw error;
    Context.current().log.warn(`artifacts are not kept within their quota: ${messageOf(error)}`);
  }
}
