import { chmod, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openFolders } from '../../../src/cli/doctor-files.js';
import { takeOver, writeWhole } from '../../../src/host/files.js';
import { hostIdentity } from '../../../src/host/identity.js';
import { tryLock } from '../../../src/host/lock.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { openLog } from '../../../src/stack/server/logs.js';
import { stackFiles } from '../../../src/stack/stack-files.js';
import { sealingKey } from '../../../src/temporal/key.js';

let folder: string;
let layout: Layout;
let umask: number;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-modes-'));
  layout = layoutOf(path.join(folder, 'state', 'home'));
  umask = process.umask(0);
});
afterEach(async () => {
  process.umask(umask);
  await rm(folder, { recursive: true, force: true });
});

/** What other users could open, if they knew its name. */
async function openToOthers(): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const places = entries
    .filter((entry) => !entry.isSymbolicLink())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const modes = await Promise.all(places.map(async (place) => (await stat(place)).mode));
  return places.filter((_, index) => ((modes[index] ?? 0) & 0o077) !== 0);
}

test.each<[string, () => Promise<unknown>]>([
  ['a file', () => writeWhole(path.join(layout.runs, 'one', 'run.json'), '{}')],
  ['a lock', () => tryLock(path.join(layout.stack, 'holder.lock'))],
  ['the host’s name', () => hostIdentity(layout)],
  ['a log', async () => (await openLog(stackFiles(layout).serverLog)).handle.close()],
  ['the key', () => sealingKey(layout, {})],
  [
    'a recording that is taken over',
    async () => {
      await writeWhole(path.join(layout.runs, 'log'), 'bytes');
      await (await takeOver(path.join(layout.runs, 'log'), 3)).close();
    },
  ],
])('%s and the folders above it are for their owner alone, with umask 0', async (_, make) => {
  await make();
  expect(await openToOthers()).toEqual([]);
});

test('doctor names the folders that others may look into', async () => {
  await sealingKey(layout, {});
  const ours = async () => (await openFolders(layout)).filter((place) => place.startsWith(folder));
  expect(await ours()).toEqual([]);
  await chmod(layout.home, 0o755);
  expect(await ours()).toEqual([layout.home]);
});
