import { NixproofError } from '../../domain/error.js';
import type { TreeEdit } from '../../domain/heal.js';
import type { FileChange } from '../../records/patch.js';
import { putText, type GuestShell } from './guest-shell.js';

/** What no heal touches: history, and what a build left behind. */
const SKIPPED = ['.git', 'node_modules', '.direnv'];
const MAX_FILES = 50;

/**
 * What edits of the deployed tree come to, file by file, without changing anything. Edits that change nothing give nothing.
 * @param tree absolute path in the machine
 */
export async function planChanges(
  shell: GuestShell,
  tree: string,
  edits: readonly TreeEdit[],
): Promise<readonly FileChange[]> {
  const changes = new Map<string, { readonly before: string | undefined; after: string }>();
  const change = async (path: string, edit: (content: string | undefined) => string | undefined) => {
    const known = changes.get(path);
    const before = known ? known.before : await readText(shell, `${tree}/${path}`);
    // Its content would come into the patch, or go back masked.
    if (before === HOLDS_SECRET) return;
    const after = edit(known?.after ?? before);
    if (after !== undefined) changes.set(path, { before, after });
  };
  for (const edit of edits) {
    if (edit.kind === 'write') await change(edit.path, () => edit.content);
    else {
      for (const path of await filesWith(shell, tree, edit.find)) {
        // A name with a newline, or that is not UTF-8, comes back as another name: no file of that
        // name is made.
        await change(path, (content) => content?.replaceAll(edit.find, () => edit.put));
      }
    }
  }
  return [...changes].flatMap(([path, { before, after }]) => (before === after ? [] : [{ path, before, after }]));
}

/** Makes the changes; made again they change nothing more. */
export async function makeChanges(shell: GuestShell, tree: string, changes: readonly FileChange[]): Promise<void> {
  for (const { path, after } of changes) await putText(shell, `${tree}/${path}`, after);
}

/** Takes the changes back. */
export async function revertChanges(shell: GuestShell, tree: string, changes: readonly FileChange[]): Promise<void> {
  for (const { path, before } of changes) {
    if (before === undefined) await shell.exec(['rm', '-f', `${tree}/${path}`]);
    else await putText(shell, `${tree}/${path}`, before);
  }
}

const HOLDS_SECRET = Symbol('holds a secret');

async function readText(shell: GuestShell, file: string): Promise<string | typeof HOLDS_SECRET | undefined> {
  const { exitCode, stdout, redacted } = await shell.exec(['sh', '-c', '[ -f "$1" ] || exit 3; cat "$1"', 'sh', file]);
  if (redacted) return HOLDS_SECRET;
  if (exitCode === 3) return undefined;
  if (exitCode === 0) return stdout;
  throw new NixproofError('MACHINE_READ_FAILED', `cannot read ${file} in the machine`);
}

/** Text files that hold it, relative to the tree. */
async function filesWith(shell: GuestShell, tree: string, text: string): Promise<readonly string[]> {
  const skip = SKIPPED.map((name) => `--exclude-dir=${name}`);
  const { stdout } = await shell.exec([
    'sh',
    '-c',
    'cd "$1" && shift && exec "$@"',
    'sh',
    tree,
    'grep',
    '-rlIF',
    ...skip,
    '--',
    text,
    '.',
  ]);
  const paths = stdout.split('\n').filter((line) => line.startsWith('./'));
  return paths.slice(0, MAX_FILES).map((line) => line.slice(2));
}
