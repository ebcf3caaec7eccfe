import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { requireNotEnded } from '../../../../src/activities/step/ended-run.js';
import { takeLease } from '../../../../src/activities/step/lease.js';
import { newReport } from '../../../../src/domain/new-report.js';
import { runFiles, writeRunReport } from '../../../../src/records/artifacts.js';

let runs: string;
beforeAll(async () => {
  runs = await mkdtemp(path.join(tmpdir(), 'nixproof-ended-'));
});
afterAll(() => rm(runs, { recursive: true, force: true }));

/** A run with a step of the execution `mine`. */
async function runWith(name: string, verdict: 'passed' | null) {
  const files = runFiles(runs, name);
  await takeLease(
    files.folder,
    { execution: 'mine', step: 1, attempt: 1 },
    verdict === null ? undefined : `${name}-h1`,
  );
  const about = { run: name, suite: 'suite-1', profile: 'vm', driver: 'sandbox' as const };
  await writeRunReport(files, { ...newReport({ ...about, startedAt: new Date(0).toISOString() }), verdict });
  return name;
}

test('a run that has ended is touched by the execution that ended it, and by no other', async () => {
  const run = await runWith('ended', 'passed');
  await requireNotEnded(runs, run, 'mine');
  await expect(requireNotEnded(runs, run, 'another')).rejects.toMatchObject({ code: 'REQUEST_REPLAYED' });
});

test('a run that has not ended, or is not there, may be begun', async () => {
  await requireNotEnded(runs, await runWith('open', null), 'another');
  await requireNotEnded(runs, 'never-seen', 'another');
});
