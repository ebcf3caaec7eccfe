import Database from 'libsql';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { beforeEach, expect, test } from 'vitest';
import type { RunReport } from '../../../src/domain/run.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { runFiles, writeRunReport } from '../../../src/records/artifacts.js';
import { TABLES } from '../../../src/history/index-tables.js';
import { openRunIndex, runIndexFile } from '../../../src/history/run-index.js';
import { failed, healed, passed } from '../reports/fixtures.js';

const CLI = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url));
/** What a process loads that is to be killed as soon as it says that it reads the runs. */
const KILLED_WHILE_READING = `data:text/javascript,${encodeURIComponent(`
  const write = process.stderr.write.bind(process.stderr);
  process.stderr.write = (...args) => {
    if (String(args[0]).includes('reading 300 runs into the index')) process.kill(process.pid, 'SIGKILL');
    return write(...args);
  };`)}`;
let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-index-')));
});

async function record(...runs: readonly RunReport[]): Promise<void> {
  for (const run of runs) await writeRunReport(runFiles(layout.runs, run.run), run);
}

/** It may be taken away at any time. */
async function removeIndex(): Promise<void> {
  await rm(path.dirname(runIndexFile(layout)), { recursive: true });
  await mkdir(path.dirname(runIndexFile(layout)));
}

/** All that it holds, table by table. */
async function dump(): Promise<unknown> {
  await using index = await openRunIndex(layout);
  return Object.fromEntries(
    TABLES.map(({ name, columns }) => {
      const order = Object.keys(columns).slice(0, 2).join(', ');
      return [
        name,
        index.all(`SELECT * FROM ${name} ORDER BY ${order}`).map((row) => Object.keys(columns).map((key) => row[key])),
      ];
    }),
  );
}

const named = (run: RunReport, name: string): RunReport => ({ ...run, run: name });

test('an index that grew with its runs is the one that is built from their folders', async () => {
  await record(passed);
  await dump();
  await record(healed, { ...passed, run: 'going', verdict: null });
  await dump();
  await record(failed, named(passed, 'going'));
  const grown = await dump();
  await removeIndex();
  expect(await dump()).toEqual(grown);
  const { runs, heals } = grown as Record<string, unknown[][]>;
  expect(runs?.map(([run, , profile, , , , verdict]) => [run, profile, verdict]).sort()).toEqual(
    [passed, healed, failed, named(passed, 'going')].map(({ run, profile, verdict }) => [run, profile, verdict]).sort(),
  );
  expect(heals).toHaveLength(healed.heals.length + failed.heals.length);
});

test('a run whose folder is gone is gone from every table', async () => {
  await record(passed, failed);
  await dump();
  await rm(path.join(layout.runs, failed.run), { recursive: true });
  const left = (await dump()) as Record<string, unknown[][]>;
  for (const rows of Object.values(left)) for (const [run] of rows) expect(run).toBe(passed.run);
});

test('what is no index, or half of one, is built anew, and said so', async () => {
  await record(passed);
  const whole = await dump();
  const bytes = await readFile(runIndexFile(layout));
  for (const broken of [
    Buffer.from('not a database, but long enough to be looked at as one'.repeat(100)),
    bytes.fill(0x5a, 100),
  ]) {
    await removeIndex();
    await writeFile(runIndexFile(layout), broken);
    const said: string[] = [];
    await using index = await openRunIndex(layout, (text) => said.push(text));
    expect(index.all('SELECT run FROM runs').map(({ run }) => run)).toEqual([passed.run]);
    expect(said.join('\n')).toContain('cannot be read: it is built anew');
  }
  expect(await dump()).toEqual(whole);
});

test('read anew it says what the folders say, and forgets what was never there', async () => {
  await record(passed, failed);
  const right = await dump();
  await using index = await openRunIndex(layout);
  const database = new Database(runIndexFile(layout));
  database.exec("UPDATE runs SET verdict = 'healed'; INSERT INTO phases (run) VALUES ('of-no-run')");
  database.close();
  expect(await dump()).not.toEqual(right);
  await (await openRunIndex(layout, undefined, { everyRun: true }))[Symbol.asyncDispose]();
  expect(await dump()).toEqual(right);
  expect(index.all('SELECT count(*) AS n FROM runs')).toEqual([{ n: 2 }]);
});

test('processes that read at the same time, and one that is killed, leave it whole', async () => {
  await record(...Array.from({ length: 300 }, (_, index) => named(index % 2 === 0 ? passed : healed, `vm-${index}`)));
  const env = { ...process.env, NIXPROOF_HOME: layout.home, NODE_V8_COVERAGE: '' };
  const readers = Array.from({ length: 4 }, () => spawn(process.execPath, [CLI, 'stats', '--json'], { env }));
  const victim = spawn(process.execPath, ['--import', KILLED_WHILE_READING, CLI, 'records', 'rebuild'], { env });
  const killed = once(victim, 'close');
  const ends = await Promise.all(
    readers.map(async (child) => {
      const closed = once(child, 'close') as Promise<[number | null]>;
      const [out, said, [exit]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
      return { exit, said, runs: exit === 0 ? (JSON.parse(out) as { runs: number }).runs : undefined };
    }),
  );
  expect(await killed).toEqual([null, 'SIGKILL']);
  for (const end of ends) expect(end, end.said).toMatchObject({ exit: 0, runs: 300 });
  const grown = await dump();
  await removeIndex();
  expect(await dump()).toEqual(grown);
  expect((grown as Record<string, unknown[]>)['runs']).toHaveLength(300);
}, 120_000);
