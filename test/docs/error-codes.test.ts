import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { ROOT } from './pages.js';

const FAMILIES = 'CONFIG|UNSUPPORTED|HOST|MACHINE|TRANSPORT|SERVER|INTERNAL';
/** A code in quotes that is only asked for: compared, or in the list of those that are final. */
const ASKED = new RegExp(`[!=]==\\s*'(?:${FAMILIES})_[A-Z_]+'|const FINAL[^;]*;`, 'g');

async function textBelow(folder: string): Promise<string> {
  const entries = await readdir(path.join(ROOT, folder), { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && /\.m?ts$/.test(entry.name));
  return (await Promise.all(files.map((entry) => readFile(path.join(entry.parentPath, entry.name), 'utf8')))).join(
    '\n',
  );
}

/** The codes of a text between two such quotes. */
function codesIn(text: string, quote: "'" | '`'): ReadonlySet<string> {
  const pattern = new RegExp(`${quote}((?:${FAMILIES})_[A-Z_]+)${quote}`, 'g');
  return new Set([...text.matchAll(pattern)].map(([, code = '']) => code));
}

let sources: string;
let tests: string;
beforeAll(async () => {
  [sources, tests] = await Promise.all([textBelow('src'), textBelow('test')]);
});

test('every error code is named by a test', () => {
  const codes = [...codesIn(sources, "'")];
  expect(codes.length).toBeGreaterThan(90);
  expect(codes.filter((code) => !new RegExp(`\\b${code}\\b`).test(tests))).toEqual([]);
});

test('every error code that is asked for, or promised in a comment, is one that is thrown', () => {
  const thrown = codesIn(sources.replace(ASKED, ''), "'");
  const named = [...codesIn(sources, "'"), ...codesIn(sources, '`')];
  expect(named.filter((code) => !thrown.has(code))).toEqual([]);
});
