import { mkdir, utimes } from 'node:fs/promises';
import type { Work } from '../../domain/work.js';
import { runCommand } from '../process.js';
import { findTar, TAR_ENVIRONMENT, unpackCommand } from './archive.js';
import { differences, digestOf } from './digest.js';
import { excluding } from './exclude.js';
import { listTree, noteOf, type TreeSource } from './list.js';
import { removeTree } from './remove.js';
import { sendTree } from './send.js';

/**
 * Copies a folder as it is now to another place of this host, without nixproof's home.
 * @param to what is there is replaced
 * @returns the sum that names its content
 * @throws NixproofError `CONFIG_DEPLOY_UNREADABLE`, `CONFIG_DEPLOY_CHANGED`,
 * `MACHINE_DEPLOY_FAILED`, `HOST_TOOL_MISSING`
 */
export async function copyTree(from: string, to: string, home: string, work: Work): Promise<string> {
  const remedy = 'take it out of the folder';
  const source: TreeSource = { folder: from, isLeftOut: await excluding(from, [], home), remedy };
  const copy: TreeSource = { folder: to, isLeftOut: () => false, remedy };
  const tar = await findTar(work.signal);
  const list = await sendTree(
    source,
    {
      format: 'gnu',
      async unpack(input) {
        await removeTree(to);
        await mkdir(to);
        const [file = tar, ...args] = unpackCommand('gnu', to, tar);
        await runCommand(file, args, { input, signal: work.signal, env: TAR_ENVIRONMENT });
        // tar gives it the time of the original, and `nixproof cleanup` removes what is old.
        await utimes(to, new Date(), new Date());
      },
      settle: async (listed) => differences(listed.entries, (await listTree(copy, work.signal)).entries),
    },
    work,
  );
  const note = noteOf(list);
  if (note !== undefined) work.progress(note);
  return digestOf(list);
}
