import { mkdir, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { reportProblems } from '../report-schema.js';
import { LONG, openBench, parsed, type Bench, type Ended } from './bench.js';

const GOOD = ['ok1', 'ok2', 'ok3', 'ok4', 'ok5'];
const profile = (name: string, run: string) =>
  `  ${name}: { driver: sandbox, install: { kind: script, run: ${run} }, checks: [{ name: there, run: 'test -e "$NIXPROOF_ROOT/etc/installed"' }] }\n`;
/** Every installer waits until all six run: they can only end if they go on side by side. */
const INSTALL = `#!/bin/sh
echo ::PHASE::MEETING; touch "$NIXPROOF_ROOT/../../../here-$NIXPROOF_PROFILE"
until [ "$(ls "$NIXPROOF_ROOT/../../.." | grep -c ^here-)" = 6 ]; do sleep 0.1; done
touch "$NIXPROOF_ROOT/etc/installed"; exit "\${1:-0}"
`;

let bench: Bench;
let folder: string;
let ended: Ended;
let suite: SuiteReport;

beforeAll(async () => {
  bench = await openBench('own');
  await bench.worker();
  folder = await bench.folder({
    'nixproof.yaml': `profiles:\n${GOOD.map((name) => profile(name, './install.sh')).join('')}${profile('bad', './install.sh 7')}`,
    'install.sh': INSTALL,
  });
  const options = ['--parallel', '6', '--keep', 'always', '--junit', 'out/of/the/way.xml', '--report-dir', 'reports'];
  ended = await bench.np(folder, 'test', ...options, '--json');
  suite = parsed<SuiteReport>(ended);
});

const runOf = (name: string) => suite.runs.find((run) => run.profile === name) as RunReport;

test('six profiles side by side: five pass, one fails, exit 1', () => {
  expect(suite.runs.map((run) => [run.profile, run.verdict, run.fault])).toEqual([
    ...GOOD.map((name) => [name, 'passed', undefined]),
    ['bad', 'failed', undefined],
  ]);
  expect(suite).toMatchObject({ verdict: 'failed' });
  expect(reportProblems(suite)).toEqual([]);
  expect(ended.exit).toBe(1);
  expect(runOf('bad').failures).toMatchObject([{ phase: 'MEETING', reason: 'the installer ended with exit status 7' }]);
});

test('the reports that were asked for', async () => {
  const junit = await readFile(path.join(folder, 'out/of/the/way.xml'), 'utf8');
  expect(junit).toContain('<testsuites name="nixproof" tests="11" failures="1" errors="0" skipped="0"');
  expect(await readFile(path.join(folder, 'reports/junit.xml'), 'utf8')).toBe(junit);
  expect(JSON.parse(await readFile(path.join(folder, 'reports/suite.json'), 'utf8'))).toEqual(suite);
  const files = [
    'annotations.txt',
    'junit.xml',
    'suite.html',
    'suite.json',
    'suite.md',
    ...suite.runs.map(({ run }) => `${run}.html`),
  ];
  expect((await readdir(path.join(folder, 'reports'))).sort()).toEqual(files.sort());
});

test('watch gives the same of what has ended', async () => {
  const again = await bench.np(folder, 'watch', suite.suite, '--json');
  expect(again.exit).toBe(1);
  expect(parsed<SuiteReport>(again)).toEqual(suite);
  const { run } = runOf('ok1');
  const one = await bench.np(folder, 'watch', run);
  expect(one.exit).toBe(0);
  expect(one.stdout).toMatch(/^✓ passed +ok1 {2}sandbox, /m);
});

test('--strict changes nothing where nothing was healed', async () => {
  const other = await bench.folder({
    'nixproof.yaml': 'profiles: { plain: { driver: sandbox, install: { kind: script, run: "true" } } }\n',
  });
  expect((await bench.np(other, 'test', '--strict', '--json')).exit).toBe(0);
});

describe('machines that were kept', () => {
  test('are listed', async () => {
    const machines = parsed<{ id: string; driver: string; diskBytes: number }[]>(
      await bench.np(folder, 'vm', 'list', '--json'),
    );
    expect(machines.map(({ id }) => id).sort()).toEqual(suite.runs.map(({ run }) => run).sort());
    expect(machines[0]).toMatchObject({ driver: 'sandbox', diskBytes: expect.any(Number) as number });
    expect((await bench.np(folder, 'vm', 'list')).stdout.match(/ {2}sandbox {2}- {2}/g)).toHaveLength(6);
  });

  test('run commands, with their output, arguments and exit status', async () => {
    const id = runOf('ok1').run;
    const ssh = (...command: string[]) => bench.np(folder, 'vm', 'ssh', id, '--', ...command);
    expect(await ssh('sh', '-c', 'ls "$NIXPROOF_ROOT/etc"; printf "%s|" "$@"; exit 3', 'sh', 'a b', "c'd", '')).toEqual(
      {
        exit: 3,
        stdout: "installed\na b|c'd||",
        stderr: '',
      },
    );
  });

  test('are destroyed one by one; cleanup leaves what was kept lately', async () => {
    const [first = ''] = suite.runs.map(({ run }) => run);
    expect(await bench.np(folder, 'vm', 'stop', first)).toEqual({
      exit: 0,
      stdout: `destroyed ${first}\n`,
      stderr: '',
    });
    expect((await bench.np(folder, 'cleanup')).stdout).toBe('nothing to remove\n');
    expect(await readdir(bench.layout.machines)).toHaveLength(5);
    expect(await bench.np(folder, 'debug', first)).toEqual({
      exit: 2,
      stdout: '',
      stderr: expect.stringMatching(
        `^error: the machine of run ${first} was removed on [-0-9]+ by .nixproof vm stop.\nhint: test again with --keep failed`,
      ) as string,
    });
  });

  test('kept machines and runs go when they are old enough', LONG, async () => {
    await mkdir(path.join(bench.layout.runs, 'no-run-at-all'));
    const [, ...kept] = suite.runs.map(({ run }) => run);
    const runs = (await readdir(bench.layout.runs)).filter((name) => name !== 'no-run-at-all');
    const cleanup = async (...args: string[]) =>
      parsed<{ dryRun: boolean; bytes: number; removed: { what: string }[]; failed: unknown[] }>(
        await bench.np(folder, 'cleanup', '--older-than', '1s', '--json', ...args),
      );
    const dry = await cleanup('--dry-run');
    expect(dry).toMatchObject({ dryRun: true, failed: [] });
    expect(dry.removed.map(({ what }) => what).sort()).toEqual(
      [...kept.map((id) => `machine ${id}`), ...runs.map((id) => `run ${id}`)].sort(),
    );
    expect(await readdir(bench.layout.machines)).toHaveLength(5);
    expect(await cleanup()).toEqual({ ...dry, dryRun: false });
    expect(await readdir(bench.layout.runs)).toEqual(['no-run-at-all']);
    expect(await bench.np(folder, 'status')).toMatchObject({ exit: 0 });
    await bench.expectNothingLeft();
  });
});
