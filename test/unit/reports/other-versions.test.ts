import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { newReport } from '../../../src/domain/new-report.js';
import type { RunReport } from '../../../src/domain/run.js';
import { writeJson } from '../../../src/host/files.js';
import { listRunReports, readRunReport, runFiles } from '../../../src/records/artifacts.js';
import { renderAnnotations, renderSuiteJunit, renderSuiteMarkdown, reporters } from '../../../src/reports/index.js';
import { renderTerminalSummary } from '../../../src/reports/terminal.js';
import { reportSource } from '../../../src/reports/source.js';

/** Another version wrote a run's record, or answered for it: a view shows what is there. */

const identity = {
  run: 'vm-1',
  suite: 's-1',
  profile: 'vm',
  driver: 'qemu',
  startedAt: '2026-01-01T00:00:00Z',
} as const;
const FIELDS = Object.keys(newReport(identity)).filter((field) => !(field in identity)) as (keyof RunReport)[];

async function recorded(record: object): Promise<RunReport> {
  const runs = await mkdtemp(path.join(tmpdir(), 'nixproof-versions-'));
  await writeJson(runFiles(runs, 'vm-1').run, record);
  const report = await readRunReport(runs, 'vm-1');
  if (!report) throw new Error('it is not there');
  expect(await listRunReports(runs)).toEqual([report]);
  const source = reportSource(runFiles(runs, 'vm-1'), report);
  for (const reporter of Object.values(reporters)) expect(await reporter.render(source)).toContain('vm');
  const suite = { suite: 's-1', verdict: report.verdict, runs: [report] };
  for (const text of [
    renderTerminalSummary([report], { colour: false }),
    renderSuiteJunit([report]),
    renderSuiteMarkdown(suite),
  ])
    expect(text).toContain('vm');
  renderAnnotations([report]);
  return report;
}

describe.each(['failed', null] as const)('a record with the verdict %s', (verdict) => {
  const whole = { ...newReport(identity), verdict };

  test.each(FIELDS)('without %s is shown', async (field) => {
    const rest = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== field));
    expect(await recorded(rest)).toEqual(field === 'verdict' ? newReport(identity) : whole);
  });

  test('with nothing but a name and a verdict is shown', async () => {
    expect(await recorded({ run: 'vm-1', profile: 'vm', verdict })).toMatchObject({ run: 'vm-1', verdict, heals: [] });
  });

  test('with fields that this version does not know keeps them', async () => {
    expect(await recorded({ ...whole, colour: 'blue' })).toEqual({ ...whole, colour: 'blue' });
  });
});
