import { createHash } from 'node:crypto';
import type { TreeEntry, TreeList } from './list.js';

/**
 * A tree as bytes, which name it: what `LOOK` prints of it in its folder. In the order of their
 * bytes: all names, their modes, how many names each file and link has, the files' SHA-256, the
 * links' targets.
 */
function* bytesOf({ entries }: TreeList): Generator<Buffer | string> {
  const sorted = [...entries].sort((a, b) => a.name.compare(b.name));
  for (const { name } of sorted) yield* [name, '\0'];
  yield '\0';
  for (const { mode } of sorted) yield `${mode.toString(16)}\n`;
  for (const entry of sorted) if (entry.kind !== 'folder') yield `${entry.links}\n`;
  for (const entry of sorted) if (entry.kind === 'file') yield `${entry.sha256}\n`;
  for (const entry of sorted) if (entry.kind === 'link') yield* [entry.target, '\0'];
}

/**
 * SHA-256 of all that a list says of a tree: names, kinds, modes, contents, targets, hard links.
 * Names the tree.
 */
export function digestOf(list: TreeList): string {
  const hash = createHash('sha256');
  for (const bytes of bytesOf(list)) hash.update(bytes);
  return hash.digest('hex');
}

/**
 * Shell functions for the machine: `look` prints the tree in the working folder as bytes. They need
 * GNU coreutils and find and xargs that know `-print0` and `-0`.
 */
export const LOOK = `
names() { find . "$@" -print0 | sort -z; }
look() {
  export LC_ALL=C
  names && printf '\\0' &&
    names | xargs -0 stat -c %f &&
    names ! -type d | xargs -0 -r stat -c %h &&
    names -type f | xargs -0 -r sha256sum | sed 's/^\\\\//; s/ .*//' &&
    names -type l | xargs -0 -r readlink -z
}
`;

/** Names of what is in one of two trees only, or not the same in both. */
export function differences(listed: readonly TreeEntry[], seen: readonly TreeEntry[]): readonly Buffer[] {
  const [wanted, there] = [byName(listed), byName(seen)];
  const names = new Set([...wanted.keys(), ...there.keys()]);
  return [...names].filter((name) => wanted.get(name) !== there.get(name)).map((name) => Buffer.from(name, 'latin1'));
}

function byName(entries: readonly TreeEntry[]): Map<string, string> {
  return new Map(entries.map((entry) => [entry.name.toString('latin1'), wordsOf(entry)]));
}

function wordsOf(entry: TreeEntry): string {
  const { kind, mode } = entry;
  if (kind === 'folder') return `${mode}`;
  return `${mode} ${entry.links} ${kind === 'file' ? entry.sha256 : entry.target.toString('latin1')}`;
}

/** The tree that `look` printed. */
export function parseLook(printed: Buffer): readonly TreeEntry[] {
  const text = printed.toString('latin1');
  const [list, rest] = splitAt(text, text.indexOf('\0\0') + 1);
  const names = list.split('\0').slice(0, -1);
  const lines = rest.slice(1).split('\n');
  let line = 0;
  // No `shift`: on an array this long it moves all that is left, each time.
  const next = () => lines[line++] ?? '';
  const modes = names.map(() => parseInt(next(), 16));
  const isFolder = (mode: number) => (mode & 0o170000) === 0o040000;
  const isLink = (mode: number) => (mode & 0o170000) === 0o120000;
  const links = modes.map((mode) => (isFolder(mode) ? 0 : Number(next())));
  const sums = modes.map((mode) => (isFolder(mode) || isLink(mode) ? '' : next()));
  const targets = lines.slice(line).join('\n').split('\0').values();
  return names.map((text, index): TreeEntry => {
    const [name, mode] = [Buffer.from(text, 'latin1'), modes[index] ?? 0];
    if (isFolder(mode)) return { kind: 'folder', name, mode };
    const named = { name, mode, links: links[index] ?? 0 };
    if (isLink(mode)) return { ...named, kind: 'link', target: Buffer.from(targets.next().value ?? '', 'latin1') };
    return { ...named, kind: 'file', bytes: 0, sha256: sums[index] ?? '' };
  });
}

function splitAt(text: string, at: number): readonly [string, string] {
  return [text.slice(0, at), text.slice(at)];
}
