import { NixproofError } from '../../domain/error.js';
import type { Work } from '../../domain/work.js';
import { findTar, packTree, type Archive, type Format } from './archive.js';
import { differences } from './digest.js';
import { listTree, type TreeList, type TreeSource } from './list.js';
import { nameText, someNames, withoutDot } from './name-text.js';

/** Where a tree is sent. */
export interface Receiver {
  readonly format: Format;
  /** Unpacks an archive into an empty place. */
  unpack(archive: Archive['stream']): Promise<void>;
  /**
   * Compares what was unpacked with the list and lets it take its place.
   * @returns names of what differs; none: it is there
   */
  settle(list: TreeList): Promise<readonly Buffer[]>;
}

/** Maximum times a tree is listed and sent. */
const TRIES = 2;

/**
 * Lists a tree, sends what is listed, and has the receiver compare what came with the list. Where
 * the tree changed meanwhile, it is done once more with a new list.
 * @throws NixproofError `CONFIG_DEPLOY_UNREADABLE`; `CONFIG_DEPLOY_CHANGED` with the names of what
 * changed both times; `MACHINE_DEPLOY_FAILED` where it did not change and something else came;
 * `HOST_TOOL_MISSING`
 */
export async function sendTree(source: TreeSource, to: Receiver, work: Work): Promise<TreeList> {
  const { signal } = work;
  const tar = await findTar(signal);
  let list = await listTree(source, signal);
  for (let attempt = 1; ; attempt++) {
    work.progress(`copying ${source.folder}`);
    const archive = await packTree(list, to.format, tar, signal);
    // Without a reader tar would wait for ever.
    const unpacking = to.unpack(archive.stream).finally(() => archive.stream.destroy());
    const [unpacked, packed] = await Promise.allSettled([unpacking, archive.ended]);
    signal.throwIfAborted();
    if (unpacked.status === 'rejected') throw unpacked.reason;
    work.progress(`verifying ${list.entries.filter(({ kind }) => kind === 'file').length} files`);
    const different = packed.status === 'rejected' ? [] : await to.settle(list);
    if (packed.status === 'fulfilled' && different.length === 0) return list;
    const now = await listTree(source, signal);
    if (attempt === TRIES) throw failure(source, changed(list, now), different, packed);
    list = now;
  }
}

/** What was listed and is not as it was. What came later is no part of the list. */
function changed(list: TreeList, now: TreeList): readonly Buffer[] {
  const listed = new Set(list.entries.map(({ name }) => name.toString('latin1')));
  return differences(list.entries, now.entries).filter((name) => listed.has(name.toString('latin1')));
}

function failure(
  { folder, remedy }: TreeSource,
  names: readonly Buffer[],
  different: readonly Buffer[],
  packed: PromiseSettledResult<void>,
): NixproofError {
  const cause: unknown = packed.status === 'rejected' ? packed.reason : undefined;
  if (names.length > 0) {
    const shown = names.map(withoutDot);
    return new NixproofError('CONFIG_DEPLOY_CHANGED', `${folder} changes while it is copied: ${someNames(shown)}`, {
      hint: `stop what writes to it, or ${remedy}`,
      details: { names: shown.slice(0, 100).map(nameText) },
      cause,
    });
  }
  const why =
    cause instanceof Error ? cause.message : `${someNames(different.map(withoutDot))} did not arrive as on this host`;
  return new NixproofError('MACHINE_DEPLOY_FAILED', `${folder} could not be copied: ${why}`, {
    hint: `is something writing to it at the same time? Stop that, or ${remedy}`,
    cause,
  });
}
