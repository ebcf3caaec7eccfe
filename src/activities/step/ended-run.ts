import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../../domain/error.js';
import { readRunReport, runFiles } from '../../records/artifacts.js';

/**
 * Refuses to touch a run that has ended on this host, in an execution of its workflow other than
 * the one that ended it: others who reach the Temporal server may reset a workflow, or start it
 * again with the request that they recorded.
 * @throws NixproofError `REQUEST_REPLAYED`
 */
export async function requireNotEnded(runsFolder: string, run: string, execution: string): Promise<void> {
  const report = await readRunReport(runsFolder, run);
  if (report?.verdict === undefined || report.verdict === null) return;
  if (await hasLease(runFiles(runsFolder, run).folder, execution)) return;
  throw new NixproofError('REQUEST_REPLAYED', `${run} has ended (${report.verdict}), and is not begun again`, {
    hint: 'start a new run with `nixproof test`; if you did not start this one twice, someone else who reaches the server did',
    details: { run },
  });
}

/** Whether an execution has done steps of the run, on whichever of its machines. */
async function hasLease(folder: string, execution: string): Promise<boolean> {
  const kinds = (await readdir(folder)).filter((name) => name === 'lease' || name.startsWith('lease-'));
  const leases = await Promise.all(kinds.map((kind) => readdir(path.join(folder, kind))));
  return leases.flat().some((name) => name.startsWith(`${execution}.`));
}
