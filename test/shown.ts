import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, expect } from 'vitest';
import { CATALOGUE } from '../src/healing/catalogue/index.js';
import { ROOT } from './docs/pages.js';

/** A table of the docs: what tests show, a row each, by the suites that show it, a column each. */
export interface ShownTable {
  readonly page: string;
  readonly head: string;
  readonly columns: readonly string[];
  readonly rows: () => Promise<readonly string[]>;
}

/** The contract suites whose tests are rows of `DRIVERS`, in this order. */
const CONTRACTS = ['machine-contract.ts', 'checkpoint-contract.ts'] as const;

/** The titles of a contract's tests, as they stand in the code. */
export async function contractTitles(file: (typeof CONTRACTS)[number]): Promise<readonly string[]> {
  const source = await readFile(path.join(ROOT, 'test/contract', file), 'utf8');
  const titles = /^ {4}test(?:\.\w+(?:\(\w+\))?)?\(\s*'([^']+)'/gm;
  return Array.from(source.matchAll(titles), ([, title = '']) => title);
}

export const DRIVERS: ShownTable = {
  page: 'docs/drivers.md',
  head: 'shown by the contract suite',
  columns: ['sandbox', 'qemu', 'libvirt', 'ssh'],
  rows: async () => (await Promise.all(CONTRACTS.map(contractTitles))).flat(),
};

export const HEALS: ShownTable = {
  page: 'docs/healing.md',
  head: 'heal',
  columns: ['files', 'guest', 'run', 'qemu run'],
  rows: async () => CATALOGUE.map(({ name }) => name),
};

const TABLE = /(<!-- shown: NIXPROOF_TEST_RECORD=1 writes it -->\n\n)([^]*?)(\n\n<!-- end -->)/;

/** What a table claims: its rows in order, each with the columns that say `yes`. */
export async function claimsOf({ page }: ShownTable): Promise<ReadonlyMap<string, readonly string[]>> {
  const text = await readFile(path.join(ROOT, page), 'utf8');
  const cellsOf = (line: string) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', ''));
  const [head = [], , ...body] = (TABLE.exec(text)?.[2] ?? '').split('\n').map(cellsOf);
  return new Map(body.map(([row = '', ...cells]) => [row, head.slice(1).filter((_, at) => cells[at] === 'yes')]));
}

/**
 * Compares a suite's column of a table with what the suite has shown when it ends: a test that no
 * longer passes, or is skipped, makes the table red. With `NIXPROOF_TEST_RECORD` in the environment
 * the column is written instead. Where only some tests were asked for (`-t`) nothing is compared.
 * @param column asked at the end
 * @param own the rows that are this suite's to show or not to show; asked at the end
 * @returns what notes that a row was shown
 */
export function comparesShown(
  table: ShownTable,
  column: () => string,
  own: () => Promise<readonly string[]> = table.rows,
): (row: string) => void {
  const shown = new Set<string>();
  afterAll(async () => {
    if (isFiltered()) return;
    const [claims, rows] = await Promise.all([claimsOf(table), own()]);
    if (process.env['NIXPROOF_TEST_RECORD']) return record(table, column(), rows, shown);
    const claimed = rows.filter((row) => claims.get(row)?.includes(column()) === true);
    expect(
      rows.filter((row) => shown.has(row)),
      `${table.page}, column ${column()}`,
    ).toEqual(claimed);
  });
  return (row) => void shown.add(row);
}

/** Of vitest's worker, which has no other way to say so. */
function isFiltered(): boolean {
  const worker = (globalThis as { __vitest_worker__?: { config?: { testNamePattern?: RegExp } } }).__vitest_worker__;
  return worker?.config?.testNamePattern !== undefined;
}

async function record(table: ShownTable, column: string, own: readonly string[], shown: ReadonlySet<string>) {
  const claims = await claimsOf(table);
  const isShown = (row: string, by: string) =>
    by === column && own.includes(row) ? shown.has(row) : claims.get(row)?.includes(by) === true;
  const isCode = table === HEALS;
  const rows = (await table.rows()).map((row) => [
    isCode ? `\`${row}\`` : row,
    ...table.columns.map((by) => (isShown(row, by) ? 'yes' : '–')),
  ]);
  const file = path.join(ROOT, table.page);
  const text = markdown([[table.head, ...table.columns], ...rows]);
  const page = await readFile(file, 'utf8');
  await writeFile(
    file,
    page.replace(TABLE, (_, begin: string, _old, end: string) => `${begin}${text}${end}`),
  );
}

/** A table as Prettier would write it. */
function markdown(table: readonly (readonly string[])[]): string {
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = table;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
