import { rm } from 'node:fs/promises';
import { readJson } from '../../host/files.js';
import { isAlive, processesWithEnvironment, terminate, type ProcessIdentity } from '../../host/process.js';
import { type ChildrenRecord, removeRecord } from '../membership/record.js';
import { SERVER_MARK } from '../server/server-process.js';
import type { StackFiles } from '../stack-files.js';

/**
 * Ends what a dead holder left running, before its database is opened a second time. Call it with the holder's lock held:
 * then everything found is an orphan. The worker ends by itself when its parent's pipe closes; it is given time to.
 */
export async function endOrphans(files: StackFiles, progress: (message: string) => void): Promise<void> {
  const { server, worker } = (await readJson<ChildrenRecord>(files.children)) ?? {};
  const unrecorded = process.platform === 'linux' ? await processesWithEnvironment(SERVER_MARK, files.folder) : [];
  await end(worker ? [worker] : [], 10_000, progress);
  await end([...(server ? [server] : []), ...unrecorded], 5000, progress);
  await removeRecord(files);
  await rm(files.children, { force: true });
}

async function end(
  orphans: readonly ProcessIdentity[],
  graceMs: number,
  progress: (message: string) => void,
): Promise<void> {
  for (const orphan of orphans) {
    if (!(await isAlive(orphan))) continue;
    progress(`ending process ${orphan.pid}, left by a local stack that died`);
    await terminate(orphan, graceMs);
  }
}
