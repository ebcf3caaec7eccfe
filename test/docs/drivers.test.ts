import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { contractTitles, readShown, shownTable } from '../contract/shown.js';
import { ROOT } from './pages.js';

const PAGE = path.join(ROOT, 'docs/drivers.md');
const TABLE = /(<!-- contract: NIXPROOF_TEST_RECORD=1 writes it -->\n\n)[^]*?(\n\n<!-- end -->)/;

test('the table of drivers is what the contract suites have shown', async () => {
  const page = await readFile(PAGE, 'utf8');
  const table = shownTable(await contractTitles(), await readShown());
  const written = page.replace(TABLE, (_, begin: string, end: string) => `${begin}${table}${end}`);
  expect(TABLE.test(page)).toBe(true);
  if (process.env['NIXPROOF_TEST_RECORD']) await writeFile(PAGE, written);
  else expect(page).toBe(written);
});

test('what was shown are tests that are still there, and every test was shown by a driver', async () => {
  const titles = await contractTitles();
  const shown = Object.values(await readShown()).flat();
  expect(shown.filter((title) => !titles.includes(title))).toEqual([]);
  expect(titles.filter((title) => !shown.includes(title))).toEqual([]);
});
