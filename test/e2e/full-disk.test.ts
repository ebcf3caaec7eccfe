import { createHash } from 'node:crypto';
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { SuiteReport } from '../../src/domain/suite.js';
import { runFiles } from '../../src/records/artifacts.js';
import { hasOrSkip } from '../contract/requirements.js';
import { LONG, isThere, openBench, parsed, reached, type Bench } from './bench.js';
import { fill } from './fill.js';
import { ownMounts, probeMounts, type OwnMounts } from './own-mounts.js';

const able = await hasOrSkip('mounts', { probe: probeMounts });

/** A bench with a worker whose artifacts have 4 MiB. */
async function benchOnSmallDisk(mounts: OwnMounts): Promise<Bench> {
  const bench = await openBench('own', {}, mounts.inside);
  await mkdir(bench.layout.runs, { recursive: true });
  await mounts.mountSmall(bench.layout.runs, 4);
  await bench.worker();
  return bench;
}

test.runIf(able)('a run waits for room on the disk of its artifacts and loses no byte', LONG, async () => {
  await using mounts = await ownMounts();
  const bench = await benchOnSmallDisk(mounts);
  const marks = await bench.folder({});
  const [go, check] = [path.join(marks, 'go'), path.join(marks, 'check')];
  const until = (mark: string) => `touch ${mark}.wanted; until [ -e ${mark} ]; do sleep 0.1; done`;
  const profile = {
    driver: 'sandbox',
    install: { kind: 'script', run: `echo first; ${until(go)}; seq -f 'line %06.0f of a log' 1 10000; echo last` },
    checks: [{ name: 'there', run: until(check) }],
  };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
  const suite = parsed<SuiteReport>(await bench.np(folder, 'test', 'one', '--detach', '--json'));
  const run = suite.runs[0]?.run ?? '';
  const filler = mounts.seen(path.join(bench.layout.runs, 'filler'));
  const state = (pattern: RegExp) => async () => pattern.test((await bench.status(run)).state);
  const waits = /^waiting for room: the disk of the artifacts is full$/;

  await reached('the installer', () => isThere(`${go}.wanted`));
  await fill(filler);
  await writeFile(go, '');
  await reached('the wait of the follower', state(waits));
  await rm(filler);
  await reached('the check', () => isThere(`${check}.wanted`));
  await reached('another state', state(/^checking/));
  await fill(filler);
  await writeFile(check, '');
  await reached('the wait of the checks', state(waits));
  await rm(filler);

  await bench.np(folder, 'watch', run);
  const report = await bench.status(run);
  expect([report.verdict, report.attempts, report.log.verified, report.notes]).toEqual([
    'passed',
    1,
    true,
    ['sandbox: processes of this host in a scratch folder'],
  ]);
  const log = await readFile(mounts.seen(runFiles(bench.layout.runs, run).attempt(1).log), 'utf8');
  expect(log.split('\n')).toEqual([
    'first',
    ...Array.from({ length: 10_000 }, (_, index) => `line ${String(index + 1).padStart(6, '0')} of a log`),
    'last',
    '',
  ]);
  expect(createHash('sha256').update(log).digest('hex')).toBe(report.log.sha256);
  const events = await readFile(mounts.seen(runFiles(bench.layout.runs, run).attempt(1).events), 'utf8');
  const offsets = events
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { offset: number }).offset);
  expect(offsets).toEqual([0, ...Array.from({ length: 10_000 }, (_, index) => 6 + index * 21), 6 + 210_000]);
  await bench.expectNothingLeft();
});

test.runIf(able)(
  'a machine goes while the disk is full, whether the run is cancelled or out of time',
  LONG,
  async () => {
    await using mounts = await ownMounts();
    const bench = await benchOnSmallDisk(mounts);
    const marks = await bench.folder({});
    const go = path.join(marks, 'go');
    const names = ['cancelled', 'late'];
    const wanted = (name: string) => path.join(marks, `${name}.wanted`);
    const profileOf = (name: string) => ({
      driver: 'sandbox',
      install: {
        kind: 'script',
        run: `touch ${wanted(name)}; until [ -e ${go} ]; do sleep 0.1; done; seq -f 'line %06.0f of a log' 1 10000`,
      },
    });
    const profiles = Object.fromEntries(names.map((name) => [name, profileOf(name)]));
    const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles }) });
    const begin = async (name: string, ...more: string[]) =>
      parsed<SuiteReport>(await bench.np(folder, 'test', name, '--detach', '--json', ...more)).runs[0]?.run ?? '';
    const late = await begin('late', '--timeout', '90s');
    const cancelled = await begin('cancelled');
    for (const name of names) await reached(`the installer of ${name}`, () => isThere(wanted(name)));
    const filler = mounts.seen(path.join(bench.layout.runs, 'filler'));
    await fill(filler);
    await writeFile(go, '');
    const waits = async (id: string) => (await bench.status(id)).state.startsWith('waiting for room');
    await reached('their waits', async () => (await waits(late)) && (await waits(cancelled)));
    // It says when the run has its verdict.
    const cancel = bench.start(folder, 'cancel', cancelled);
    await reached('the end of both machines', async () => (await readdir(bench.layout.machines)).length === 0);
    await rm(filler);
    await cancel.ended;
    expect((await bench.status(cancelled)).verdict).toBe('cancelled');
    await bench.np(folder, 'watch', late);
    const report = await bench.status(late);
    expect([report.verdict, report.fault?.code, report.fault?.message]).toEqual([
      'error',
      'HOST_DISK_FULL',
      'the run’s 90 s were up while installing, waiting for room: the disk of the artifacts is full',
    ]);
    await bench.expectNothingLeft();
  },
);
