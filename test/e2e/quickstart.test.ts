import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { debianRoot, insideRoot, type DebianSuite } from '../debian-root.js';
import { otherNode, throughNode } from '../other-node.js';
import { AWKWARD_HOME, LONG, onlyRun, openBench, parsed, reached, type Bench, type Ended } from './bench.js';

const QUICKSTART = fileURLToPath(new URL('../../examples/quickstart/', import.meta.url));
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const whole = expect.any(Number) as number;
const time = expect.stringMatching(TIME) as string;

let bench: Bench;
let json: Ended;
let plain: Ended;
let run: RunReport;

/**
 * The host on which all of this file runs: another Debian's programs, as in CI's rotation, another
 * Node, or both.
 */
async function onHost(): Promise<readonly string[]> {
  const debian = process.env['NIXPROOF_TEST_DEBIAN'];
  const node = process.env['NIXPROOF_TEST_NODE'];
  return [
    ...(debian ? insideRoot(await debianRoot(debian as DebianSuite)) : []),
    ...(node ? throughNode(await otherNode(node)) : []),
  ];
}

// Two commands at once, on a home without a stack: one brings it up, both use it.
beforeAll(async () => {
  bench = await openBench('local stack', {}, await onHost(), AWKWARD_HOME);
  const first = bench.start(QUICKSTART, 'test', '--json');
  await reached('a command that starts the stack', async () => first.output.stderr !== '');
  const second = bench.start(QUICKSTART, 'test');
  [json, plain] = await Promise.all([first.ended, second.ended]);
  run = onlyRun(json);
});

test('passes, with JSON that has every field', () => {
  expect(json.exit).toBe(0);
  const { suite } = run;
  expect(parsed<SuiteReport>(json)).toEqual({ suite, verdict: 'passed', runs: [run] });
  expect(suite).toMatch(/^suite-\d{8}-\d{6}-[\da-f]{4}$/);
  const phase = (name: string) => ({ name, startedAt: time, durationMs: whole, attempt: 1 });
  const check = (name: string, detail: string) => ({ name, status: 'pass', detail, durationMs: whole });
  expect(run).toEqual({
    run: suite.replace('suite', 'quickstart'),
    suite,
    profile: 'quickstart',
    verdict: 'passed',
    state: 'done',
    driver: 'sandbox',
    host: expect.stringMatching(/-[\da-f]{6}$/) as string,
    startedAt: time,
    durationMs: whole,
    attempts: 1,
    phases: ['DISK_PARTITIONING', 'SYSTEM_BUILD', 'FILESYSTEMS', 'BOOT'].map(phase),
    failures: [],
    heals: [],
    checkpoints: [],
    faults: [],
    checks: [
      check('two Linux partitions', '83 83'),
      check('the root is a clean ext4', 'clean'),
      check('the system knows its name', 'quickstart'),
      check('every file arrived whole', '20 files intact'),
    ],
    // Its own, and what was measured of this host meanwhile.
    metrics: expect.objectContaining({
      system_mib: [[whole, whole]],
      'host.memory.used': expect.arrayContaining([[whole, whole]]) as unknown,
    }) as unknown,
    historyEvents: whole,
    log: { bytes: whole, lines: whole, sha256: expect.stringMatching(/^[\da-f]{64}$/) as string, verified: true },
    bootedInstalled: false,
    notes: ['sandbox: processes of this host in a scratch folder'],
    artifacts: path.join(bench.layout.runs, run.run),
  });
  expect(run.historyEvents).toBeGreaterThan(10);
  expect(run.historyEvents).toBeLessThan(200);
});

test('tells people what goes on, on standard error where standard output is JSON', () => {
  for (const told of [json.stderr, plain.stdout]) {
    for (const line of ['▸ DISK_PARTITIONING', '  ✓ partition table written', '▸ SYSTEM_BUILD', '▸ FILESYSTEMS'])
      expect(told.split('\n')).toContain(line);
  }
  expect(plain.stdout).toMatch(/^✓ passed +quickstart {2}sandbox, [^\n]+, 1 attempt$/m);
  expect(plain.stdout).toMatch(/^ {2}report +\/.+\/report\.html$/m);
  expect(plain.stdout).toMatch(
    /^ {2}temporal +http:\/\/127\.0\.0\.1:\d+\/namespaces\/default\/workflows\/quickstart-/m,
  );
  expect(plain.exit).toBe(0);
});

test('of two commands one starts the stack, and the last one ends it', LONG, async () => {
  const started = [json, plain].filter(({ stderr }) => stderr.includes('starting the local Temporal server\n'));
  expect(started).toHaveLength(1);
  const uis = [json.stderr, plain.stdout].map((text) => /^temporal {2}(http:\/\/[^/]+)/m.exec(text)?.[1]);
  expect(uis[0]).toBe(uis[1]);
  await bench.expectNothingLeft();
});

describe('afterwards, without a server', () => {
  test('status lists both, newest first', async () => {
    const ended = await bench.np(QUICKSTART, 'status', '--json');
    const runs = parsed<RunReport[]>(ended);
    expect(runs.map(({ profile, verdict }) => [profile, verdict])).toEqual([
      ['quickstart', 'passed'],
      ['quickstart', 'passed'],
    ]);
    expect((runs[0]?.startedAt ?? '') >= (runs[1]?.startedAt ?? '')).toBe(true);
    const table = await bench.np(QUICKSTART, 'status');
    expect(
      table.stdout.match(/^✓ passed {2}quickstart-[\d-]+-[\da-f]{4} {2}sandbox {2}\S.+ \d{4}-\d\d-\d\d /gm),
    ).toHaveLength(2);
  });

  test('status of one run is its object, or its story', async () => {
    const object = parsed<RunReport>(await bench.np(QUICKSTART, 'status', run.run, '--json'));
    // The history goes on after the report was written.
    expect(object).toEqual({ ...run, historyEvents: object.historyEvents });
    const { stdout } = await bench.np(QUICKSTART, 'status', run.run);
    expect(stdout).toContain('✓ every file arrived whole  20 files intact\n');
  });

  test('logs gives every byte, or every event', async () => {
    const text = await bench.np(QUICKSTART, 'logs', run.run);
    expect(text).toMatchObject({ exit: 0, stderr: '' });
    expect(text.stdout).toBe(await readFile(path.join(run.artifacts, 'attempt-1', 'install.log'), 'utf8'));
    const events = (await bench.np(QUICKSTART, 'logs', run.run, '--format', 'events')).stdout.trimEnd().split('\n');
    expect(events).toHaveLength(run.log.lines);
    expect(JSON.parse(events[0] ?? '')).toMatchObject({ offset: 0, type: 'phase', name: 'DISK_PARTITIONING' });
    expect(await bench.np(QUICKSTART, 'logs', run.run, '--attempt', '2')).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringContaining(
        `run ${run.run} has no log of attempt 2 on this host\nhint: it ran on host `,
      ) as string,
    });
  });

  test.each([
    { format: 'json', file: 'report.json', begins: /^\{\n/ },
    { format: 'junit', file: 'junit.xml', begins: /^<\?xml version="1\.0"/ },
    { format: 'markdown', file: 'report.md', begins: /^## ✅ quickstart: passed\n/ },
    { format: 'html', file: 'report.html', begins: /^<!doctype html>/i },
  ])('report gives $format, as it was written when the run ended', async ({ format, file, begins }) => {
    const { exit, stdout } = await bench.np(QUICKSTART, 'report', run.run, '--format', format);
    expect(exit).toBe(0);
    expect(stdout).toMatch(begins);
    expect(stdout.trimEnd()).toBe((await readFile(path.join(run.artifacts, file), 'utf8')).trimEnd());
    const output = path.join(bench.layout.home, file);
    const written = await bench.np(QUICKSTART, 'report', run.run, '--format', format, '--output', output);
    expect(written).toEqual({ exit: 0, stdout: `wrote ${output}\n`, stderr: '' });
    expect((await readFile(output, 'utf8')).trimEnd()).toBe(stdout.trimEnd());
  });

  test('and nothing was started for it', LONG, () => bench.expectNothingLeft());
});
