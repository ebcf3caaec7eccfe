import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach } from 'vitest';
import type { DriverName } from '../../src/domain/profile.js';
import { writeJson } from '../../src/host/files.js';

const FILE = fileURLToPath(new URL('shown.json', import.meta.url));

/** The contract suites whose tests are the rows of the table in docs/drivers.md, in this order. */
export const SUITES = ['machine-contract.ts', 'checkpoint-contract.ts'];
const DRIVERS: readonly DriverName[] = ['sandbox', 'qemu', 'libvirt', 'ssh'];

/** The titles of the contracts' tests that each driver has passed. */
export type Shown = Readonly<Record<string, readonly string[]>>;

export async function readShown(): Promise<Shown> {
  return JSON.parse(await readFile(FILE, 'utf8')) as Shown;
}

/** The titles of every test of the contracts, as they stand in the code. */
export async function contractTitles(): Promise<readonly string[]> {
  const sources = await Promise.all(SUITES.map((file) => readFile(new URL(file, import.meta.url), 'utf8')));
  const titles = /^ {4}test(?:\.runIf\(\w+\))?\(\s*'([^']+)'/gm;
  return sources.flatMap((source) => Array.from(source.matchAll(titles), ([, title = '']) => title));
}

/** Put into a contract's suite: where NIXPROOF_TEST_RECORD is set, what passes in it is written down for the table. */
export function recordShown(driver: () => DriverName): void {
  if (!process.env['NIXPROOF_TEST_RECORD']) return;
  const passed = new Set<string>();
  const own = new Set<string>();
  afterEach(({ task }) => {
    own.add(task.name);
    if (task.result?.state === 'pass') passed.add(task.name);
  });
  afterAll(async () => {
    const shown = await readShown().catch((): Shown => ({}));
    const titles = await contractTitles();
    const before = (shown[driver()] ?? []).filter((title) => !own.has(title));
    const now = new Set([...before, ...passed]);
    await writeJson(FILE, { ...shown, [driver()]: titles.filter((title) => now.has(title)) });
  });
}

/** The table of docs/drivers.md, as Markdown. */
export function shownTable(titles: readonly string[], shown: Shown): string {
  const rows = titles.map((title) => [
    title,
    ...DRIVERS.map((driver) => (shown[driver]?.includes(title) ? 'yes' : '–')),
  ]);
  const table = [['shown by the contract suite', ...DRIVERS], ...rows];
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (cells: readonly string[]) => `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = table;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...body.map(line)].join('\n');
}
