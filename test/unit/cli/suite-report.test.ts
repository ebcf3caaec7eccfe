import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { recordedSuite } from '../../../src/cli/suite-report.js';
import type { RunReport } from '../../../src/domain/run.js';
import { layoutOf } from '../../../src/host/paths.js';
import { runFiles, writeRunReport } from '../../../src/records/artifacts.js';
import { passed } from '../reports/fixtures.js';

const STAMP = '20260105-100000-ab12';

test.each([
  ['passed', 'passed'],
  ['error', 'error'],
] as const)('of a run that was made again after an error the last one counts: %s', async (last, verdict) => {
  const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-suite-')));
  onTestFinished(() => rm(layout.home, { recursive: true }));
  const runs: readonly Pick<RunReport, 'run' | 'profile' | 'verdict'>[] = [
    { run: `vm-${STAMP}`, profile: 'vm', verdict: 'error' },
    { run: `vm-retry1-${STAMP}`, profile: 'vm', verdict: 'error' },
    { run: `vm-retry2-${STAMP}`, profile: 'vm', verdict: last },
    { run: `other-${STAMP}`, profile: 'other', verdict: 'passed' },
  ];
  const suite = `suite-${STAMP}`;
  for (const run of runs) await writeRunReport(runFiles(layout.runs, run.run), { ...passed, ...run, suite, notes: [] });
  const report = await recordedSuite(layout, suite);
  expect(report?.verdict).toBe(verdict);
  expect(Object.fromEntries(report?.runs.map(({ run, notes }) => [run, notes]) ?? [])).toEqual({
    [`vm-${STAMP}`]: [`run again as vm-retry1-${STAMP}`],
    [`vm-retry1-${STAMP}`]: [`run again as vm-retry2-${STAMP}`],
    [`vm-retry2-${STAMP}`]: [],
    [`other-${STAMP}`]: [],
  });
});

test('a profile whose name looks like another one made again counts for itself', async () => {
  const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-suite-')));
  onTestFinished(() => rm(layout.home, { recursive: true }));
  const suite = `suite-${STAMP}`;
  for (const [profile, verdict] of [
    ['vm', 'error'],
    ['vm-retry1', 'passed'],
  ] as const) {
    const run = `${profile}-${STAMP}`;
    await writeRunReport(runFiles(layout.runs, run), { ...passed, run, profile, verdict, suite });
  }
  expect(await recordedSuite(layout, suite)).toMatchObject({ verdict: 'error' });
});
