import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RunReport } from '../../../src/domain/run.js';
import { folderBytes } from '../../../src/host/files.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { readRunReport, runFiles, writeRunReport } from '../../../src/records/artifacts.js';
import { artifactQuota, keepWithin } from '../../../src/history/quota.js';
import { openRunIndex, runIndexFile } from '../../../src/history/run-index.js';
import { passed } from '../reports/fixtures.js';

const MIB = 1024 * 1024;
const work = { signal: new AbortController().signal, progress: () => undefined };
let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-quota-')));
});
afterEach(async () => {
  await rm(layout.home, { recursive: true, force: true });
});

const BULKY = [
  'attempt-1/install.log',
  'attempt-2/events.ndjson',
  'attempt-2/system.ndjson',
  'attempt-2/follow.json',
  'heal-1/commands.log',
  'console.log',
  'console-times.ndjson',
  'screen.png',
  'collected/journal.log',
];
const SMALL = [
  'request.json',
  'report.html',
  'junit.xml',
  'heal.patch',
  'heal-1/journal.json',
  'attempt-1/probes.json',
];

/** A run that began so many days ago, with a mebibyte in each of its bulky files. */
async function record(run: string, daysAgo: number, more: Partial<RunReport> = {}): Promise<void> {
  const files = runFiles(layout.runs, run);
  const startedAt = new Date(Date.now() - daysAgo * 86_400_000).toISOString();
  for (const name of [...BULKY, ...SMALL]) {
    const file = path.join(files.folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, Buffer.alloc(BULKY.includes(name) ? MIB : 10, 'x'));
  }
  await writeRunReport(files, { ...passed, run, startedAt, ...more });
}

/** Which of the runs' files are there: `all`, `small` or, where it is neither, their names. */
async function left(run: string): Promise<string> {
  const entries = await readdir(path.join(layout.runs, run), { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(path.join(layout.runs, run), path.join(entry.parentPath, entry.name)))
    .sort();
  if (names.join() === [...BULKY, ...SMALL, 'run.json'].sort().join()) return 'all';
  return names.join() === [...SMALL, 'run.json'].sort().join() ? 'small' : names.join();
}

test('the oldest runs lose what is bulky until the rest fits, and stay on record', async () => {
  await record('third', 1);
  await record('first', 3);
  await record('second', 2);
  const before = await readRunReport(layout.runs, 'first');
  await keepWithin(layout, 19 * MIB, new Set(), work);
  expect(await Promise.all(['first', 'second', 'third'].map(left))).toEqual(['small', 'all', 'all']);
  expect(await folderBytes(layout.runs)).toBeLessThan(19 * MIB);
  const report = await readRunReport(layout.runs, 'first');
  expect(report).toEqual({
    ...before,
    removedForRoomAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT/) as string,
    notes: [
      ...(before?.notes ?? []),
      expect.stringMatching(/^its logs were removed on \d{4}-\d\d-\d\d to make room \(NIXPROOF_MAX_ARTIFACTS\)$/),
    ],
  });
  // Asked again it leaves alone what fits, and tells nothing twice.
  await keepWithin(layout, 19 * MIB, new Set(), work);
  expect(await readRunReport(layout.runs, 'first')).toEqual(report);
  await keepWithin(layout, 10 * MIB, new Set(), work);
  expect(await Promise.all(['first', 'second', 'third'].map(left))).toEqual(['small', 'small', 'all']);
  await keepWithin(layout, MIB, new Set(['third']), work);
  expect(await left('third')).toBe('all');
});

test('a run that goes on counts and loses nothing', async () => {
  await record('going', 9, { verdict: null });
  await record('ended', 1);
  await keepWithin(layout, 17 * MIB, new Set(), work);
  expect(await Promise.all(['going', 'ended'].map(left))).toEqual(['all', 'small']);
  await keepWithin(layout, MIB, new Set(), work);
  expect(await left('going')).toBe('all');
});

test('killed in the middle it is done by the next, and the index says what is there', async () => {
  await record('first', 3);
  await record('second', 2);
  // Told on record and half removed; the index has its size from before.
  await (await openRunIndex(layout))[Symbol.asyncDispose]();
  const files = runFiles(layout.runs, 'first');
  const report = (await readRunReport(layout.runs, 'first')) as RunReport;
  await writeRunReport(files, { ...report, removedForRoomAt: '2026-01-01T00:00:00.000Z', notes: ['told'] });
  await rm(files.attempt(1).log);
  await keepWithin(layout, 10 * MIB, new Set(), work);
  expect(await Promise.all(['first', 'second'].map(left))).toEqual(['small', 'all']);
  expect((await readRunReport(layout.runs, 'first'))?.notes).toEqual(['told']);
  const sizes = async () => {
    await using index = await openRunIndex(layout);
    return index.all('SELECT run, bytes, bulk FROM runs ORDER BY run');
  };
  const kept = await sizes();
  expect(kept.map(({ bulk }) => bulk)).toEqual([0, BULKY.length * MIB]);
  expect(kept.reduce((sum, { bytes }) => sum + Number(bytes), 0)).toBe(await folderBytes(layout.runs));
  await rm(path.dirname(runIndexFile(layout)), { recursive: true });
  await mkdir(path.dirname(runIndexFile(layout)));
  expect(await sizes()).toEqual(kept);
});

test('two at the same time take no more than one', async () => {
  for (const day of [4, 3, 2, 1]) await record(`day-${day}`, day);
  await Promise.all(Array.from({ length: 4 }, () => keepWithin(layout, 28 * MIB, new Set(), work)));
  expect(await Promise.all([4, 3, 2, 1].map((day) => left(`day-${day}`)))).toEqual(['small', 'all', 'all', 'all']);
});

test('a run that has ended takes what it took: nobody looks again', async () => {
  await record('older', 2);
  await record('newer', 1);
  await keepWithin(layout, 100 * MIB, new Set(), work);
  await writeFile(runFiles(layout.runs, 'newer').request, Buffer.alloc(20 * MIB, 'x'));
  await keepWithin(layout, 20 * MIB, new Set(), work);
  expect(await left('older')).toBe('all');
});

test('the quota is in mebibytes; what is no number is refused', () => {
  expect(artifactQuota({})).toBe(20_480 * MIB);
  expect(artifactQuota({ NIXPROOF_MAX_ARTIFACTS: '5' })).toBe(5 * MIB);
  expect(() => artifactQuota({ NIXPROOF_MAX_ARTIFACTS: '5G' })).toThrow(
    expect.objectContaining({ code: 'CONFIG_ENVIRONMENT' }) as Error,
  );
});
