import Database from 'libsql';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { RunReport } from '../domain/run.js';
import type { Layout } from '../host/paths.js';
import { sumOfBytes } from '../host/files.js';
import { withLock } from '../host/lock.js';
import { readRunReport, runFiles, runSize } from '../records/artifacts.js';
import { INDEX_VERSION, TABLES, type Cell, type RunSize } from './index-tables.js';

/**
 * `records/index.db`, an SQLite database: what is asked over many runs without reading every run's folder. The folders own what it
 * says, and whoever opens it brings it up to date with them, so that no step of a run depends on it and a crash leaves nothing
 * to mend: what is missing is read, what is gone is taken out. It may be deleted at any time.
 */
export interface RunIndex extends AsyncDisposable {
  /** The rows of a query, each as an object of its columns. */
  all(sql: string, ...values: readonly Cell[]): readonly Readonly<Record<string, Cell>>[];
  /** Its folder has changed: whoever opens the index next reads it again. */
  forget(run: string): void;
}

/** How long one process waits while another one writes. */
const BUSY_MS = 30_000;
/** So many runs are read and written at a time: none waits long for another's turn, and memory stays small. */
const BATCH = 200;

export function runIndexFile(layout: Layout): string {
  return path.join(layout.home, 'records', 'index.db');
}

/**
 * Opens the index and brings it up to date. One that cannot be read is made anew. `everyRun` also reads
 * the runs again that it has: others that read it meanwhile see all of them all the time.
 */
export async function openRunIndex(
  layout: Layout,
  progress: (message: string) => void = () => undefined,
  { everyRun = false } = {},
): Promise<RunIndex> {
  const file = runIndexFile(layout);
  const opened = async (): Promise<Database.Database> => {
    const database = await readyDatabase(file);
    try {
      await bringUpToDate(database, layout, progress, everyRun);
    } catch (error) {
      database.close();
      throw error;
    }
    return database;
  };
  const database = await opened().catch(async (error: unknown) => {
    if (!isBroken(error)) throw error;
    progress(`${file} cannot be read: it is built anew from the runs' folders`);
    await removeBroken(file);
    return opened();
  });
  return {
    forget: (run) => database.transaction(() => writerOf(database).forget(run)).immediate(),
    all: (sql, ...values) => database.prepare(sql).all(...values) as Readonly<Record<string, Cell>>[],
    [Symbol.asyncDispose]: () => {
      database.close();
      return Promise.resolve();
    },
  };
}

const BROKEN: ReadonlySet<string> = new Set(['SQLITE_CORRUPT', 'SQLITE_NOTADB', 'SQLITE_ERROR']);

function isBroken(error: unknown): boolean {
  return error instanceof Database.SqliteError && BROKEN.has(error.code);
}

/**
 * The database with its tables. Two processes at a time do not make it: where SQLite turns to WAL, it does
 * not wait for another connection (sqlite.org/wal.html, "Activating And Configuring WAL Mode").
 */
async function readyDatabase(file: string): Promise<Database.Database> {
  return withLock(`${file}.lock`, {}, () => {
    const database = new Database(file, { timeout: BUSY_MS });
    try {
      database.pragma('journal_mode = WAL');
      database.pragma('synchronous = NORMAL');
      database.transaction(() => makeTables(database)).immediate();
    } catch (error) {
      database.close();
      throw error;
    }
    return Promise.resolve(database);
  });
}

/**
 * Takes a broken index away, unless another process has made a whole one since. The database goes last: from
 * then on its name is a new one's.
 */
async function removeBroken(file: string): Promise<void> {
  await withLock(`${file}.lock`, {}, async () => {
    if (isWhole(file)) return;
    for (const suffix of ['-wal', '-shm', '']) await rm(`${file}${suffix}`, { force: true });
  });
}

function isWhole(file: string): boolean {
  const database = new Database(file, { timeout: BUSY_MS });
  try {
    writerOf(database);
    const found = database.pragma('integrity_check') as { readonly integrity_check: string }[];
    return found.every(({ integrity_check: said }) => said === 'ok');
  } catch {
    return false;
  } finally {
    database.close();
  }
}

function makeTables(database: Database.Database): void {
  const [{ user_version: version } = { user_version: 0 }] = database.pragma('user_version') as {
    user_version: number;
  }[];
  if (version !== INDEX_VERSION) for (const { name } of TABLES) database.exec(`DROP TABLE IF EXISTS ${name}`);
  for (const { name, columns } of TABLES) {
    const list = Object.entries(columns).map(([column, type]) => `${column} ${type}`);
    database.exec(`CREATE TABLE IF NOT EXISTS ${name} (${list.join(', ')})`);
    if (name !== 'runs') database.exec(`CREATE INDEX IF NOT EXISTS ${name}_run ON ${name} (run)`);
  }
  database.exec(`PRAGMA user_version = ${INDEX_VERSION}`);
}

/** A run that has ended changes only where the quota takes of it, which forgets it here: those that are there need no second look. */
async function bringUpToDate(
  database: Database.Database,
  layout: Layout,
  progress: (message: string) => void,
  everyRun: boolean,
): Promise<void> {
  const writer = writerOf(database);
  const entries = await readdir(layout.runs, { withFileTypes: true }).catch(() => []);
  const folders = new Set(entries.filter((entry) => entry.isDirectory()).map(({ name }) => name));
  const tables = everyRun ? TABLES : TABLES.filter(({ name }) => name === 'runs');
  const ofRuns = tables.map(({ name }) => `SELECT run FROM ${name}`).join(' UNION ');
  const known = new Set((database.prepare(ofRuns).all() as { run: string }[]).map(({ run }) => run));
  const gone = [...known].filter((run) => !folders.has(run));
  if (gone.length > 0) database.transaction(() => gone.forEach(writer.forget)).immediate();
  const missing = [...folders].filter((run) => everyRun || !known.has(run));
  if (missing.length > BATCH) progress(`reading ${missing.length} runs into the index`);
  for (let at = 0; at < missing.length; at += BATCH) {
    const names = missing.slice(at, at + BATCH);
    const ended = (await Promise.all(names.map((run) => readEnded(layout, run)))).filter((run) => run !== undefined);
    database.transaction(() => ended.forEach(({ report, size }) => writer.remember(report, size))).immediate();
  }
}

/** A run that has ended, with what it takes; undefined where it goes on, or its folder holds no readable run. */
async function readEnded(
  layout: Layout,
  run: string,
): Promise<{ readonly report: RunReport; readonly size: RunSize } | undefined> {
  const report = await readRunReport(layout.runs, run).catch(() => undefined);
  if (!report || report.verdict === null) return undefined;
  const { bytes, bulk } = await runSize(runFiles(layout.runs, run).folder);
  return { report, size: { bytes, bulk: sumOfBytes(bulk) } };
}

function writerOf(database: Database.Database) {
  const statements = TABLES.map(({ name, columns, rows }) => ({
    rows,
    remove: database.prepare(`DELETE FROM ${name} WHERE run = ?`),
    insert: database.prepare(`INSERT INTO ${name} VALUES (${Object.keys(columns).fill('?').join(', ')})`),
  }));
  const forget = (run: string) => statements.forEach(({ remove }) => remove.run(run));
  return {
    forget,
    /** Another process may have read the same run at the same time: its rows are put in the place of whatever is there. */
    remember(report: RunReport, size: RunSize) {
      forget(report.run);
      for (const { rows, insert } of statements) for (const row of rows(report, size)) insert.run(...row);
    },
  };
}
