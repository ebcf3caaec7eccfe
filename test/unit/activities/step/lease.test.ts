import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, expect, test } from 'vitest';
import { leased, takeLease, type Try } from '../../../../src/activities/step/lease.js';
import { openRecording } from '../../../../src/activities/install/recording.js';
import { newReport } from '../../../../src/domain/new-report.js';
import type { RunRequest } from '../../../../src/domain/run.js';
import { insideFence, passFence, temporaryFolder } from '../../../../src/host/fence.js';
import { writeWhole } from '../../../../src/host/files.js';
import { layoutOf } from '../../../../src/host/paths.js';
import { runFiles, writeRunReport } from '../../../../src/records/artifacts.js';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function newRun() {
  const runs = await mkdtemp(path.join(tmpdir(), 'nixproof-lease-'));
  folders.push(runs);
  return runFiles(runs, 'vm-1');
}

const tryOf = (step: number, attempt: number, execution = 'one'): Try => ({ execution, step, attempt });
const LOST = { code: 'INTERNAL_LEASE_LOST', message: 'another worker has taken this step over' };

test.each([
  { name: 'a retry', older: tryOf(5, 1), newer: tryOf(5, 2) },
  { name: 'a later step', older: tryOf(9, 3), newer: tryOf(10, 1) },
  { name: 'another execution', older: tryOf(20, 1), newer: tryOf(1, 1, 'another') },
])('$name takes over, for good', async ({ older, newer }) => {
  const { folder } = await newRun();
  const first = await takeLease(folder, older);
  await first.check();
  const second = await takeLease(folder, newer);
  await expect(first.check()).rejects.toMatchObject(LOST);
  await second.check();
});

test('a take-over renames: it needs no room, and what the elder had begun is gone', async () => {
  const { folder } = await newRun();
  await takeLease(folder, tryOf(5, 1));
  const leases = path.join(folder, 'lease');
  const { ino } = await stat(path.join(leases, 'one.000005.0001'));
  await writeFile(path.join(leases, 'one.000005.0001', 'run.json.tmp'), 'half');
  await takeLease(folder, tryOf(6, 1));
  expect(await readdir(leases, { recursive: true })).toEqual(['one.000006.0001']);
  expect((await stat(path.join(leases, 'one.000006.0001'))).ino).toBe(ino);
});

test('a lease that cannot be renamed for another reason is an error, and stays', async () => {
  const { folder } = await newRun();
  const lease = path.join(folder, 'lease');
  await mkdir(lease, { recursive: true });
  // A file where a try's folder is to be.
  await writeFile(path.join(lease, 'one.000006.0001'), '');
  await mkdir(path.join(lease, 'one.000005.0001'));
  await expect(takeLease(folder, tryOf(6, 1))).rejects.toMatchObject({ code: 'ENOTDIR' });
  expect((await readdir(lease)).sort()).toEqual(['one.000005.0001', 'one.000006.0001']);
});

test('a try that has a folder already keeps it, and the elder’s goes', async () => {
  const { folder } = await newRun();
  const lease = path.join(folder, 'lease');
  for (const name of ['one.000005.0001', 'one.000006.0001']) {
    await mkdir(path.join(lease, name), { recursive: true });
    await writeFile(path.join(lease, name, 'begun'), name);
  }
  await takeLease(folder, tryOf(6, 1));
  expect(await readdir(lease, { recursive: true })).toEqual(['one.000006.0001', 'one.000006.0001/begun']);
});

test('tries on two machines of a run have leases of their own', async () => {
  const { folder } = await newRun();
  const run = await takeLease(folder, tryOf(5, 1));
  const other = await takeLease(folder, tryOf(6, 1), 'vm-1-h2');
  await run.check();
  await takeLease(folder, tryOf(6, 2), 'vm-1-h2');
  await run.check();
  await expect(other.check()).rejects.toMatchObject({ ...LOST, details: { lease: 'one.000006.0001' } });
});

test('the same try takes its own lease again', async () => {
  const { folder } = await newRun();
  const first = await takeLease(folder, tryOf(5, 1));
  const again = await takeLease(folder, tryOf(5, 1));
  await first.check();
  await again.check();
  expect(first).toMatchObject({ root: folder, folder: path.join(folder, 'lease', 'one.000005.0001') });
});

test('an activity is done inside the lease of its run, step and try', async () => {
  const layout = layoutOf((await newRun()).folder);
  const { folder } = runFiles(layout.runs, 'vm-1');
  const seen: unknown[] = [];
  const { verify } = leased(layout, {
    verify: async ({ run }: RunRequest, more: string) => {
      seen.push(run, more, temporaryFolder(path.join(folder, 'x')));
      await passFence();
      return 7;
    },
  });
  const inTry = (activityId: string, attempt: number) => {
    const workflowExecution = { workflowId: 'vm-1', runId: 'one' };
    const environment = new MockActivityEnvironment({ activityId, attempt, workflowExecution });
    return environment.run(() => verify({ run: 'vm-1', suite: 'suite-1' } as RunRequest, 'more'));
  };
  expect(await inTry('12', 3)).toBe(7);
  expect(seen).toEqual(['vm-1', 'more', path.join(folder, 'lease', 'one.000012.0003')]);
  await expect(inTry('12', 2)).rejects.toMatchObject({ type: 'INTERNAL_LEASE_LOST' });
});

test('a run that has ended is refused to another execution of its workflow, not to what tidies up behind it', async () => {
  const layout = layoutOf((await newRun()).folder);
  const files = runFiles(layout.runs, 'vm-1');
  const about = { run: 'vm-1', suite: 'suite-1', profile: 'vm', driver: 'sandbox' as const };
  const { verify } = leased(layout, { verify: async (_request: RunRequest) => 'done' });
  const by = (workflowId: string, runId: string) => {
    const workflowExecution = { workflowId, runId };
    const environment = new MockActivityEnvironment({ activityId: '1', attempt: 1, workflowExecution });
    return environment.run(() => verify({ run: 'vm-1', suite: 'suite-1' } as RunRequest));
  };
  expect(await by('vm-1', 'first')).toBe('done');
  await writeRunReport(files, { ...newReport({ ...about, startedAt: new Date(0).toISOString() }), verdict: 'passed' });
  expect(await by('vm-1', 'first')).toBe('done');
  await expect(by('vm-1', 'again')).rejects.toMatchObject({ type: 'REQUEST_REPLAYED' });
  expect(await readdir(path.join(files.folder, 'lease'))).toEqual(['first.000001.0001']);
  expect(await by('vm-1-left-on-a', 'tidying')).toBe('done');
});

test('one that comes late gets nothing and disturbs nobody', async () => {
  const { folder } = await newRun();
  const newest = await takeLease(folder, tryOf(5, 2));
  await expect(takeLease(folder, tryOf(5, 1))).rejects.toMatchObject(LOST);
  await newest.check();
  expect(await readdir(path.join(folder, 'lease'))).toEqual(['one.000005.0002']);
});

test('of any number that come at once the newest has it', async () => {
  const { folder } = await newRun();
  const tries = Array.from({ length: 20 }, (_, index) => tryOf(1, index + 1));
  const taken = await Promise.allSettled(tries.map((mine) => takeLease(folder, mine)));
  const holds: boolean[] = [];
  for (const result of taken) {
    const check = result.status === 'fulfilled' ? result.value.check() : Promise.reject(result.reason as Error);
    holds.push(
      await check.then(
        () => true,
        () => false,
      ),
    );
  }
  expect(holds).toEqual([...Array<boolean>(19).fill(false), true]);
});

test('a file that was begun before the take-over is not put in its place after it', async () => {
  const { folder, checks } = await newRun();
  const older = await takeLease(folder, tryOf(5, 1));
  const newer = await takeLease(folder, tryOf(5, 2));
  await insideFence(newer, () => writeWhole(checks, 'new'));
  await expect(insideFence(older, () => writeWhole(checks, 'old'))).rejects.toMatchObject(LOST);
  // Even where it had looked before, and was stopped right after.
  await expect(
    insideFence({ ...older, check: async () => undefined }, () => writeWhole(checks, 'old')),
  ).rejects.toThrow('ENOENT');
  expect(await readFile(checks, 'utf8')).toBe('new');
});

test('a follower that comes back writes neither the log nor where it stands', async () => {
  const files = await newRun();
  const attempt = files.attempt(1);
  const older = await takeLease(files.folder, tryOf(5, 1));
  const careless = { ...older, check: async () => undefined };
  const first = await insideFence(careless, () => openRecording(attempt, Date.now));
  await insideFence(careless, async () => {
    await first.write(Buffer.from('one\ntwo\n'));
    await first.checkpoint();
    await first.write(Buffer.from('three\n'));
  });
  const newer = await takeLease(files.folder, tryOf(5, 2));
  const second = await insideFence(newer, () => openRecording(attempt, Date.now));
  expect(second.offset).toBe(8);
  await insideFence(newer, () => second.write(Buffer.from('3\n')));
  await insideFence(careless, () => first.write(Buffer.from('four\n')));
  await expect(insideFence(careless, () => first.checkpoint())).rejects.toThrow('ENOENT');
  await expect(insideFence(older, () => first.write(Buffer.from('five\n')))).rejects.toMatchObject(LOST);
  await insideFence(newer, () => second.checkpoint());
  expect(await readFile(attempt.log, 'utf8')).toBe('one\ntwo\n3\n');
  expect((await readFile(attempt.events, 'utf8')).trim().split('\n')).toHaveLength(3);
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
});
