import { realpath } from 'node:fs/promises';
import path from 'node:path';
import ignore from 'ignore';
import type { TreeSource } from './list.js';

/**
 * What patterns as in .gitignore exclude of a folder, and nixproof's home where it lies in that
 * folder.
 */
export async function excluding(
  folder: string,
  patterns: readonly string[],
  home: string,
): Promise<TreeSource['isLeftOut']> {
  const excluded = ignore({ ignorecase: false }).add([...patterns]);
  const within = path.relative(await realpath(folder), await realpath(home).catch(() => path.resolve(home)));
  return (name, isFolder) => name === within || excluded.ignores(isFolder ? `${name}/` : name);
}
