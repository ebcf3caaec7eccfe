import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { machineLeftovers, sweep, type Leftover } from '../../../src/cli/leftovers.js';
import { machineFate } from '../../../src/cli/machine-fate.js';
import type { Session } from '../../../src/cli/session.js';
import type { Keep, RunReport, RunRequest } from '../../../src/domain/run.js';
import { folderBytes } from '../../../src/host/files.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { writeRecord } from '../../../src/machines/record.js';
import { recordRemoval } from '../../../src/records/machine-removed.js';
import { readRunReport, runFiles, writeRunReport, writeRunRequest } from '../../../src/records/artifacts.js';
import { asUser, giveAway } from '../host/tree/as-user.js';
import { passed } from '../reports/fixtures.js';

const DAY_MS = 24 * 60 * 60_000;
const RUN = 'vm-20260101-000000-000a';

let layout: Layout;
let said: string[];
let printed: string[];
beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-cleanup-')));
  onTestFinished(() => rm(layout.home, { recursive: true, force: true }));
  [said, printed] = [[], []];
});

const session = (json = false) =>
  ({
    layout,
    json,
    signal: new AbortController().signal,
    say: (line: string) => said.push(line),
    progress: (line: string) => said.push(line),
    printJson: (document: unknown) => printed.push(JSON.stringify(document)),
  }) as unknown as Session;

/** A run of two days that ended so many days ago, and its machine. */
async function record(run: string, keep: Keep, daysAgo: number, more: Partial<RunReport> = {}): Promise<void> {
  const files = runFiles(layout.runs, run);
  const startedAt = new Date(Date.now() - (daysAgo + 2) * DAY_MS).toISOString();
  await writeRunReport(files, { ...passed, run, startedAt, durationMs: 2 * DAY_MS, ...more });
  await writeRunRequest(files, { run, keep } as unknown as RunRequest);
  await makeMachine(run);
}

async function makeMachine(id: string): Promise<void> {
  await writeRecord(layout, { id, driver: 'sandbox', base: undefined, createdAt: new Date().toISOString() });
}

describe('machines that cleanup removes', () => {
  test('those that were not kept, and kept ones whose run ended before --older-than', async () => {
    await record('vm-20260101-000000-000a', 'always', 0.01);
    await record('vm-20260101-000000-000b', 'always', 15);
    await record('vm-20260101-000000-000c', 'never', 0.01);
    await record('vm-20260101-000000-000d', 'failed', 0.01, { verdict: 'passed' });
    await record('vm-20260101-000000-000e', 'failed', 13, { verdict: 'error' });
    await record('vm-20260101-000000-000f', 'never', 15, { verdict: null });
    const going = async (before: number) =>
      (await machineLeftovers(session(), before, 'nixproof cleanup')).map(({ what }) => what.slice(-1)).sort();
    expect(await going(Date.now() - 14 * DAY_MS)).toEqual(['b', 'c', 'd']);
    expect(await going(0)).toEqual(['c', 'd']);
    expect(await going(Date.now())).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});

describe('what cannot be removed', () => {
  const leftover = (what: string, remove: () => Promise<void>): Leftover => ({ what, bytes: 10, remove });

  test('keeps nothing else from going, and is named at the end', async () => {
    const gone: string[] = [];
    const leftovers = [
      leftover('machine a', () => Promise.reject(new Error('EACCES: permission denied'))),
      leftover('machine b', async () => void gone.push('b')),
      leftover('run c', async () => void gone.push('c')),
    ];
    expect(await sweep(session(), leftovers, false)).toBe(3);
    expect(gone).toEqual(['b', 'c']);
    expect(said.slice(-3)).toEqual([
      'freed 20 bytes',
      'could not remove machine a: EACCES: permission denied',
      'run the same again as the user who owns those files, or as root',
    ]);
    expect(await sweep(session(true), leftovers, false)).toBe(3);
    expect(JSON.parse(printed.join(''))).toEqual({
      dryRun: false,
      bytes: 20,
      removed: [
        { what: 'machine b', bytes: 10 },
        { what: 'run c', bytes: 10 },
      ],
      failed: [{ what: 'machine a', error: 'EACCES: permission denied' }],
    });
  });

  test('a normal user’s machine with read-only folders goes, one with files of root stays', async ({ skip }) => {
    skip(process.geteuid?.() !== 0, 'only root can make files of another user');
    const inside = (id: string) => path.join(layout.machines, id, 'root/config');
    for (const id of ['a-theirs', 'b-read-only']) {
      await makeMachine(id);
      await mkdir(inside(id), { recursive: true });
      await writeFile(path.join(inside(id), 'file'), 'x');
    }
    await chmod(inside('b-read-only'), 0o500);
    const mine = [
      '',
      'machines',
      ...['a-theirs', 'b-read-only'].flatMap((id) => [`machines/${id}`, `machines/${id}/machine.json`]),
    ];
    for (const place of [...mine, 'machines/b-read-only/root', 'machines/b-read-only/root/config'])
      await giveAway(path.join(layout.home, place));
    await asUser(async () => {
      const registry = createRegistry(layout);
      const leftovers = ['a-theirs', 'b-read-only'].map((id) => leftover(id, () => registry.destroy(id, session())));
      expect(await sweep(session(), leftovers, false)).toBe(3);
    });
    expect(await readdir(layout.machines)).toEqual(['a-theirs']);
    expect(said.find((line) => line.startsWith('could not remove'))).toMatch(
      /^could not remove a-theirs: EACCES: permission denied/,
    );
  });
});

test('the size of a machine is told though a folder in it cannot be read', async () => {
  await makeMachine('a');
  const closed = path.join(layout.machines, 'a/root/closed');
  await mkdir(closed, { recursive: true });
  await writeFile(path.join(layout.machines, 'a/root/file'), Buffer.alloc(1 << 20, 'x'));
  for (const place of [layout.home, layout.machines, path.dirname(path.dirname(closed)), path.dirname(closed)])
    await giveAway(place);
  await chmod(closed, 0);
  expect(await asUser(() => folderBytes(path.join(layout.machines, 'a')))).toBeGreaterThanOrEqual(1 << 20);
  await chmod(closed, 0o700);
});

describe('what became of a machine that is not there', () => {
  const fate = async () => {
    const report = await readRunReport(layout.runs, RUN);
    return report && machineFate(layout, report);
  };

  test('a kept one that a command removed', async () => {
    await record(RUN, 'always', 1);
    await recordRemoval(layout, RUN, 'nixproof vm stop');
    const day = new Date().toISOString().slice(0, 10);
    expect(await fate()).toBe(`the machine of run ${RUN} was removed on ${day} by \`nixproof vm stop\``);
    expect((await readRunReport(layout.runs, RUN))?.notes.at(-1)).toBe(
      `machine ${RUN} was removed on ${day} by \`nixproof vm stop\``,
    );
  });

  test.each([
    ['never', 'failed', 'was released when the run ended: it was tested with --keep never, and failed'],
    ['failed', 'passed', 'was released when the run ended: it was tested with --keep failed, and passed'],
    ['always', 'passed', 'was kept and is gone: nothing says what removed it'],
    ['always', null, 'is not there: the run has not ended and has none now'],
  ] as const)('--keep %s and %s', async (keep, verdict, what) => {
    await record(RUN, keep, 1, { verdict });
    expect(await fate()).toBe(`the machine of run ${RUN} ${what}`);
  });

  test('one of another host', async () => {
    await writeRunReport(runFiles(layout.runs, RUN), { ...passed, run: RUN, host: 'box-2' });
    expect(await fate()).toBe(`the machine of run ${RUN} is not on this host: the run is on box-2`);
  });

  test('one beside the run’s own, or of a run that goes on, leaves no record', async () => {
    await record(RUN, 'always', 1, { machine: `${RUN}-fork` });
    await recordRemoval(layout, RUN, 'nixproof cleanup');
    expect((await readRunReport(layout.runs, RUN))?.machineRemoved).toBeUndefined();
    await record(RUN, 'always', 1, { verdict: null });
    await recordRemoval(layout, RUN, 'nixproof cleanup');
    expect((await readRunReport(layout.runs, RUN))?.machineRemoved).toBeUndefined();
  });
});
