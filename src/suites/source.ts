import { mkdtemp, rename, utimes } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { FOLDER_PREFIX, type PinnedSource, type Source, type SourceTree } from '../domain/source.js';
import type { Work } from '../domain/work.js';
import { makeFolder, isErrno, isFolder } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import { copyTree } from '../host/tree/copy.js';
import { removeTree } from '../host/tree/remove.js';
import { checkOut, fetchCommit, fetchRef } from './git.js';

/** Names of trees that are being made. One whose maker was killed is `nixproof cleanup`'s to remove. */
export const UNFINISHED = 'unfinished-';

/** Where a pinned source lies on this host, once it is there. */
export function treeOf(layout: Layout, commit: string): string {
  return path.join(layout.sources, commit);
}

/**
 * Brings a source as it stands now into this home, under the name of what it is: `sources/<commit>`. A tree takes its place in one
 * step, and one that is there already is not touched again.
 * @throws NixproofError `TRANSPORT_SOURCE` where it cannot be reached, `HOST_TOOL_MISSING` without git
 */
export async function pinSource(source: Source, layout: Layout, work: Work): Promise<SourceTree> {
  if (source.kind === 'folder') return pinFolder(source.path, layout, work);
  const { repository, ref } = source;
  return intoPlace(layout, async (scratch) => {
    work.progress(`fetching ${ref} of ${repository}`);
    const commit = await fetchRef(scratch, repository, ref, work);
    if (!(await isFolder(treeOf(layout, commit)))) await checkOut(scratch, commit, work);
    return { repository, ref, commit };
  });
}

/**
 * Makes sure that a pinned source lies on this host too: whoever planned the suite may be another one.
 * @returns its folder
 * @throws NixproofError `TRANSPORT_SOURCE`, `HOST_SOURCE_MISSING`, `HOST_TOOL_MISSING`
 */
export async function bringSource(pinned: PinnedSource, layout: Layout, work: Work): Promise<string> {
  const tree = treeOf(layout, pinned.commit);
  if (await isFolder(tree)) return tree;
  if (pinned.commit.startsWith(FOLDER_PREFIX)) {
    throw new NixproofError('HOST_SOURCE_MISSING', `the copy of ${pinned.repository} is not on this host`, {
      hint: 'a folder is copied on the host that plans the suite; with several hosts give `--from` the address of a git repository',
      details: { commit: pinned.commit },
    });
  }
  const { repository, ref, commit } = pinned;
  await intoPlace(layout, async (scratch) => {
    work.progress(`fetching commit ${commit} of ${repository}`);
    await fetchCommit(scratch, repository, ref, commit, work);
    await checkOut(scratch, commit, work);
    return pinned;
  });
  return tree;
}

async function pinFolder(folder: string, layout: Layout, work: Work): Promise<SourceTree> {
  if (!(await isFolder(folder))) {
    throw new NixproofError('TRANSPORT_SOURCE', `there is no folder ${folder} on this host`, {
      hint: 'with several hosts give `--from` the address of a git repository',
    });
  }
  return intoPlace(layout, async (scratch) => {
    work.progress(`copying ${folder}`);
    const sum = await copyTree(folder, scratch, layout.home, work);
    return { repository: folder, ref: '', commit: `${FOLDER_PREFIX}${sum}` };
  });
}

/** Makes a tree beside the others and renames it, unless the same is there by then. */
async function intoPlace(layout: Layout, make: (scratch: string) => Promise<PinnedSource>): Promise<SourceTree> {
  await makeFolder(layout.sources);
  const scratch = await mkdtemp(path.join(layout.sources, UNFINISHED));
  try {
    const pinned = await make(scratch);
    const tree = treeOf(layout, pinned.commit);
    if (!(await isFolder(tree))) await rename(scratch, tree).catch(unlessThere);
    // It counts as new from here on, for whoever cleans up.
    await utimes(tree, new Date(), new Date());
    return { ...pinned, tree };
  } finally {
    await removeTree(scratch);
  }
}

/** Somebody else was faster, with the same. */
function unlessThere(error: unknown): void {
  if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error;
}
