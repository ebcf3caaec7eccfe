import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { DrillResult } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { layoutOf } from '../../src/host/paths.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { runFiles } from '../../src/records/artifacts.js';
import { hasOrSkip } from '../contract/requirements.js';
import { shareBases } from '../shared-bases.js';
import { openBench, parsed, type Bench } from './bench.js';
import { openGround, prepareGround, type Ground } from './drill-ground.js';

const MINUTE_MS = 60_000;
/** Emulation on a loaded machine: a deadline, not an expectation. */
const DEADLINE_MS = 30 * MINUTE_MS;

/** Every fault of the table: what the machine shows of it, what it is found out as, what heals it. */
const TABLE: readonly (readonly [fault: string, seen: RegExp, detectedAs: RegExp, healedBy: RegExp])[] = [
  [
    'dns-broken',
    /^nameserver 192\.0\.2\.1\ncache\.nixos\.org does not resolve$/,
    /^network\.dns$/,
    /^use-the-networks-resolver$/,
  ],
  [
    'network-down@DOWNLOAD',
    /^\w+ has no carrier$/,
    /^network\.(?:unreachable|dns)$/,
    /^(?:wait-for-the-host|renew-the-lease|bring-the-interface-up)$/,
  ],
  [
    'cache-unreachable',
    /nothing listens at 127\.0\.0\.1:17701$/,
    /^network\.unreachable$|^network\.http$|^cache\.bad$/,
    /^drop-the-substituter$/,
  ],
  ['cache-corrupt', /NAR info file .* is corrupt/, /^cache\.bad$/, /^drop-the-substituter$/],
  ['slow-network', /netem .*delay 300/, /^-$/, /^$/],
  ['disk-renamed', /^there is no \/dev\/sdz/, /^disk\.not-found$/, /^use-the-found-disk$/],
  ['disk-full', /^\/dev\/vdb1 .* 100% \/mnt$/, /^disk\.full$/, /^$/],
  ['tmp-full', / 100% \/tmp$/, /^disk\.full$/, /^grow-the-tmpfs$/],
  ['memory-hog', /^MemTotal: .*\nMemAvailable: +\d{4,6} kB$/, /^memory\.oom$/, /^swap-on-(?:zram|the-target)$/],
  ['clock-wrong', /2005/, /^network\.http$/, /^set-the-clock$/],
  ['installer-killed@FORMAT', /^process \d+ is gone without an exit status$/, /^unknown$/, /^run-again-after-a-kill$/],
  ['machine-crash@FORMAT', /^the machine no longer runs$/, /^unknown$/, /^bring-the-machine-back$/],
  ['worker-crash', /^worker process \d+ is gone, \d+ goes on$/, /^-$/, /^$/],
];

/** Some of them, by name: what a test that may take minutes has time for. */
const chosen = process.env['NIXPROOF_TEST_DRILLS']?.split(',');
const EXPECTED = TABLE.filter(([fault]) => chosen?.includes(fault) ?? true);

test('the drills that are asked for are in the table', () => {
  expect(EXPECTED.map(([fault]) => fault).sort()).toEqual([...(chosen ?? TABLE.map(([fault]) => fault))].sort());
});

/**
 * Each fault for real, on real machines, two at a time, under one worker that one of the faults
 * kills.
 */
describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))('drills on qemu', () => {
  let bench: Bench;
  let ground: Ground;
  let suite: SuiteReport;
  let exit: unknown;
  const drill = (fault: string) => suite.drills?.find((one) => one.fault === fault) as DrillResult;

  beforeAll(async () => {
    bench = await openBench('local stack');
    ground = await openGround(bench, chosen);
    await prepareGround({ layout: await shareBases(bench.layout.home, inject('sharedHome')) });
    const ended = await bench.np(
      ground.folder,
      'test',
      'ground',
      '--drill',
      '--driver',
      'qemu',
      '--parallel',
      '2',
      '--json',
    );
    exit = ended.exit;
    suite = parsed<SuiteReport>(ended);
  }, DEADLINE_MS);

  afterAll(async () => {
    await bench[Symbol.asyncDispose]();
    await ground[Symbol.asyncDispose]();
  }, 2 * MINUTE_MS);

  test('every fault came as the table expects', () => {
    const wrong = (suite.drills ?? []).filter(({ ok }) => !ok);
    expect(wrong).toEqual([]);
    expect(suite.drills?.map(({ fault }) => fault)).toEqual(EXPECTED.map(([fault]) => fault));
    expect(exit).toBe(0);
  });

  test.each(EXPECTED)('%s: seen in the machine, found out and healed, or not', (fault, seen, detectedAs, healedBy) => {
    const result = drill(fault);
    expect(result.seen).toMatch(seen);
    expect(result.detectedAs ?? '-').toMatch(detectedAs);
    expect(result.healedBy.join(' ')).toMatch(healedBy);
  });

  // Not skipped where another fault was asked for: CI counts what is skipped.
  if (EXPECTED.some(([fault]) => fault === 'disk-full'))
    test('what cannot be healed did no damage', () => {
      const full = suite.runs.find(({ run }) => run === drill('disk-full').run);
      expect(full).toMatchObject({ verdict: 'failed', heals: [], attempts: 1 });
    });

  test.each(EXPECTED)('%s: every report says that it was a drill', async (fault) => {
    const name = fault.replace(/@.*/, '');
    const { report } = runFiles(bench.layout.runs, drill(fault).run);
    for (const file of Object.values(report)) expect(await readFile(file, 'utf8')).toContain(name);
    expect(await readFile(report.markdown, 'utf8')).toContain(`Faults were injected on purpose: ${name}`);
    expect(await readFile(report.html, 'utf8')).toContain('Injected on purpose');
  });

  test('nothing of the machines is left on the host', () => bench.expectNothingLeft(), 3 * MINUTE_MS);
});
