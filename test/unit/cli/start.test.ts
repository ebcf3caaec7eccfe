import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../../docs/pages.js';

/** The packages that a module of src/ and all it imports statically load, each with who imports it. */
async function packagesOf(file: string, seen = new Map<string, string>()): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(file, 'utf8');
  for (const [, names = '', from = ''] of text.matchAll(
    /^(?:import|export) (?!type )([\w\s{},*]+) from '([^']+)';$/gm,
  )) {
    const types = /^\{(?:\s*type \w+(?: as \w+)?,?\s*)+\}$/.test(names);
    if (types || from.startsWith('node:')) continue;
    const next = from.startsWith('.') ? path.join(path.dirname(file), from.replace(/\.js$/, '.ts')) : from;
    if (seen.has(next)) continue;
    seen.set(next, file);
    if (from.startsWith('.')) await packagesOf(next, seen);
  }
  return new Map([...seen].filter(([name]) => !path.isAbsolute(name)));
}

test('before a command runs, the command line loads little: Temporal’s client alone takes half a second', async () => {
  const packages = await packagesOf(path.join(ROOT, 'src/cli/main.ts'));
  expect([...packages.keys()].sort()).toEqual(['commander', 'fastest-levenshtein']);
});
