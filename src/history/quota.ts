import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Work } from '../domain/work.js';
import { numberInEnvironment } from '../host/environment.js';
import { folderBytes } from '../host/files.js';
import { withLock } from '../host/lock.js';
import type { Layout } from '../host/paths.js';
import { readRunReport, runFiles, runSize, writeRunReport } from '../records/artifacts.js';

const MIB = 1024 * 1024;
const DEFAULT_MIB = 20_480;

/** What the artifacts of all runs may take, bytes: `NIXPROOF_MAX_ARTIFACTS` (MiB). @throws NixproofError `CONFIG_ENVIRONMENT` */
export function artifactQuota(env: NodeJS.ProcessEnv = process.env): number {
  return (numberInEnvironment(env, 'NIXPROOF_MAX_ARTIFACTS') ?? DEFAULT_MIB) * MIB;
}

/**
 * Where the runs' folders take more than the quota, removes the bulky files of runs that have ended, oldest first, until they take
 * no more; what a run was and came to stays on record. One process at a time, and killed anywhere it is done again by the next.
 * @param spared runs that keep everything
 */
export async function keepWithin(
  layout: Layout,
  quotaBytes: number,
  spared: ReadonlySet<string>,
  { signal, progress }: Work,
): Promise<void> {
  await withLock(path.join(layout.home, 'records', 'quota.lock'), { signal }, async () => {
    // Loaded where it is used: a worker that only follows installers needs no SQLite.
    const { openRunIndex } = await import('./run-index.js');
    await using index = await openRunIndex(layout, progress);
    const ended = index.all('SELECT run, bytes, bulk FROM runs ORDER BY started_at, run');
    let total =
      ended.reduce((sum, { bytes }) => sum + Number(bytes), 0) + (await otherBytes(layout, ended.map(nameOf)));
    for (const row of ended) {
      if (total <= quotaBytes) return;
      const [run, bulk] = [nameOf(row), Number(row['bulk'])];
      if (bulk === 0 || spared.has(run)) continue;
      signal.throwIfAborted();
      progress(`removing the logs of ${run} to make room`);
      await removeBulk(layout, run);
      index.forget(run);
      total -= bulk;
    }
  });
}

function nameOf(row: Readonly<Record<string, unknown>>): string {
  return String(row['run']);
}

/** What runs take that are not in the index, because they go on. */
async function otherBytes(layout: Layout, indexed: readonly string[]): Promise<number> {
  const known = new Set(indexed);
  const others = (await readdir(layout.runs)).filter((run) => !known.has(run));
  const sizes = await Promise.all(others.map((run) => folderBytes(path.join(layout.runs, run))));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** On record first: whoever finds no log finds out why. */
async function removeBulk(layout: Layout, run: string): Promise<void> {
  const files = runFiles(layout.runs, run);
  const report = await readRunReport(layout.runs, run);
  if (!report || report.verdict === null) return;
  if (report.removedForRoomAt === undefined) {
    const removedForRoomAt = new Date().toISOString();
    const note = `its logs were removed on ${removedForRoomAt.slice(0, 10)} to make room (NIXPROOF_MAX_ARTIFACTS)`;
    await writeRunReport(files, { ...report, removedForRoomAt, notes: [...report.notes, note] });
  }
  for (const { file } of (await runSize(files.folder)).bulk) await rm(file, { force: true });
}
