import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { runFiles } from '../../src/records/artifacts.js';
import { LONG, isThere, onlyRun, openBench, parsed } from './bench.js';

const MIB = 1024 * 1024;

test('an installer that prints more than it may is stopped, and its log is what it may print', LONG, async () => {
  const bench = await openBench('own');
  await bench.worker();
  const talkative = (then: string) => ({
    driver: 'sandbox',
    install: { kind: 'script', run: `seq -f '%0100.0f' 1 30000; ${then}`, maxLog: '1M' },
  });
  const profiles = { endless: talkative('exec sleep 7000'), quick: talkative('exit 0') };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles }) });
  const ended = await bench.np(folder, 'test', '--json');
  expect(ended.exit).toBe(1);
  const { runs } = parsed<SuiteReport>(ended);
  expect(runs).toHaveLength(2);
  for (const { run, verdict, failures, heals, log } of runs) {
    expect([verdict, heals]).toEqual(['failed', []]);
    expect(failures.map(({ class: failureClass, reason }) => [failureClass, reason])).toEqual([
      ['unknown', 'the installer printed more than 1 MiB and was stopped'],
    ]);
    expect(log).toMatchObject({ bytes: MIB, verified: false, partOf: { same: true } });
    expect((await stat(runFiles(bench.layout.runs, run).attempt(1).log)).size).toBe(MIB);
  }
  await bench.expectNothingLeft();
});

test('when the artifacts are more than their quota the oldest logs go, and every command says so', LONG, async () => {
  const bench = await openBench('own', { NIXPROOF_MAX_ARTIFACTS: '2' });
  await bench.worker();
  const profile = { driver: 'sandbox', install: { kind: 'script', run: `seq -f '%0100.0f' 1 8000` } };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
  const run = async (...args: string[]) => onlyRun(await bench.np(folder, 'test', '--json', ...args)).run;
  const hasLog = (id: string) => isThere(runFiles(bench.layout.runs, id).attempt(1).log);

  const kept = await run('--keep', 'always');
  const first = await run();
  expect([await hasLog(kept), await hasLog(first)]).toEqual([true, true]);
  const second = await run();
  expect([await hasLog(kept), await hasLog(first), await hasLog(second)]).toEqual([true, false, true]);

  const removed = /were removed on \d{4}-\d\d-\d\d to make room/;
  for (const more of [[], ['--format', 'events'], ['--console']]) {
    const logs = await bench.np(folder, 'logs', first, ...more);
    expect(logs).toMatchObject({ exit: 2, stdout: '' });
    expect(logs.stderr).toMatch(removed);
  }
  for (const format of ['markdown', 'html', 'junit']) {
    const report = await bench.np(folder, 'report', first, '--format', format);
    expect(report.exit).toBe(0);
    expect(report.stdout).toContain(first);
    expect(report.stderr).toMatch(removed);
  }
  const json = parsed<RunReport>(await bench.np(folder, 'report', first, '--format', 'json'));
  expect(json).toMatchObject({ verdict: 'passed', log: { verified: true } });
  expect(json.removedForRoomAt).toMatch(/^\d{4}-/);
  expect((await bench.np(folder, 'status', first)).stdout).toMatch(removed);
  expect(parsed<{ runs: number }>(await bench.np(folder, 'stats', '--json')).runs).toBe(3);
  expect((await bench.np(folder, 'logs', second)).stdout).toHaveLength(8000 * 101);

  // Once its machine is gone, a kept run is like any other.
  await bench.np(folder, 'vm', 'stop', kept);
  await run();
  expect(await hasLog(kept)).toBe(false);
  await bench.expectNothingLeft();
});
