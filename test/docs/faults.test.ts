import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { FAULTS } from '../../src/faults/index.js';
import { ROOT } from './pages.js';

test('docs/faults.md has every fault as the code has it, and no other', () => {
  const text = readFileSync(path.join(ROOT, 'docs/faults.md'), 'utf8');
  const rows = [...text.matchAll(/^\| (`[a-z-]+`) *\|(.*)\|$/gm)].map(([, name = '', rest = '']) => [
    name,
    ...rest.split('|').map((cell) => cell.trim()),
  ]);
  const code = (words: readonly string[]) => words.map((word) => `\`${word}\``).join(', ');
  expect(rows).toEqual(
    FAULTS.map(({ name, title, outcome, expects, heals, drivers }) => [
      code([name]),
      title,
      outcome,
      code(expects),
      code(heals),
      code(drivers),
    ]),
  );
});
