import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './pages.js';

/** The rows of the table of who could do what, cells trimmed. */
const rows = readFileSync(path.join(ROOT, 'docs/security.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => line.split('|').slice(1, -1))
  .filter((cells) => cells.length === 4)
  .map((cells) => cells.map((cell) => cell.trim()))
  .slice(2);

test('each claim of docs/security.md names the tests that show it', () => {
  expect(rows.length).toBeGreaterThanOrEqual(14);
  const shown = rows.flatMap(([, , , files = '']) =>
    files.split(', ').map((file) => /^`(test\/.*\.test\.ts)`$/.exec(file)?.[1]),
  );
  expect(shown.filter((file) => file === undefined || !existsSync(path.join(ROOT, file)))).toEqual([]);
});
