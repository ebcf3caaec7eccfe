import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { layoutOf } from '../../src/host/paths.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { hasOrSkip } from '../contract/requirements.js';
import { LONG, openBench, parsed, reached, type Bench } from './bench.js';

const profile = (run: string, more: object = {}) => ({ driver: 'sandbox', install: { kind: 'script', run }, ...more });
const CONFIG = {
  profiles: {
    // Every third one fails; `turn` of the home above all machines counts.
    unsteady: profile(
      'turn=$(mktemp "$NIXPROOF_ROOT/../../../turn.XXXXXX"); n=$(ls "$NIXPROOF_ROOT/../../.." | grep -c ^turn.); [ $((n % 3)) != 0 ]',
    ),
    broken: profile('exit 3'),
    slow: profile('sleep 600'),
    endless: profile('sleep 600'),
    fine: profile('true'),
    turns: profile('test ! -e broken'),
    // What the reports were to go to.
    spoiler: profile('cd "$NIXPROOF_ROOT/../../.." && rmdir reports && touch reports'),
  },
  healing: { policy: 'never' },
};

let bench: Bench;
let folder: string;
beforeAll(async () => {
  bench = await openBench('own');
  await bench.worker();
  folder = await bench.folder({
    'nixproof.yaml': JSON.stringify(CONFIG),
    'qemu.json': JSON.stringify({
      profiles: { lost: profile('true', { driver: 'qemu', base: 'debian' }), fine: profile('true') },
    }),
  });
});

describe.concurrent('a suite', () => {
  test('that repeats a profile tells how steady it is, and is as good as its worst run', LONG, async () => {
    const result = await bench.np(folder, 'test', 'unsteady', '--repeat', '3', '--parallel', '1', '--json');
    const suite = parsed<SuiteReport>(result);
    expect({ exit: result.exit, verdicts: suite.runs.map(({ verdict }) => verdict) }).toEqual({
      exit: 1,
      verdicts: ['passed', 'passed', 'failed'],
    });
    const [low = 0, high = 1] = suite.repeats?.[0]?.passRate ?? [];
    expect(suite.repeats).toMatchObject([
      { profile: 'unsteady', runs: 3, passed: 2, failed: 1, healed: 0, flaky: true },
    ]);
    // Wilson's interval of 2 of 3.
    expect([Math.round(low * 100), Math.round(high * 100)]).toEqual([21, 94]);
    const steady = await bench.np(folder, 'test', 'fine', '--repeat', '2');
    expect(steady.stdout).toMatch(
      /\nfine on sandbox: 2 of 2 passed; passes 34–100 % of the time \(95 % confidence\)\n$/,
    );
  });

  test('tells what changed since the runs before, and is reported again by its name', LONG, async () => {
    const first = await bench.np(folder, 'test', 'turns', '--json');
    expect(parsed<SuiteReport>(first)).not.toHaveProperty('changes');
    await writeFile(path.join(folder, 'broken'), '');
    const second = await bench.np(folder, 'test', 'turns', '--json');
    const [before, now] = [first, second].map((ended) => parsed<SuiteReport>(ended));
    expect(now?.changes).toEqual([
      {
        profile: 'turns',
        driver: 'sandbox',
        kind: 'broke',
        run: now?.runs[0]?.run,
        before: before?.runs[0]?.run,
        text: 'passed before, failed now',
      },
    ]);
    const page = await bench.np(folder, 'report', now?.suite ?? '', '--format', 'html');
    expect(page.stdout).toContain('turns on sandbox broke: passed before, failed now');
    expect(page.stdout).toMatch(new RegExp(`<a href="file:.*/${now?.runs[0]?.run ?? ''}/report.html">turns</a>`));
    const markdown = await bench.np(folder, 'report', now?.suite ?? '');
    expect(markdown.stdout).toMatch(/^## nixproof\n\n- turns on sandbox broke: passed before, failed now\n/);
    await rm(path.join(folder, 'broken'));
    const third = await bench.np(folder, 'test', 'turns');
    expect(third.stdout).toMatch(/\nturns on sandbox is fixed: failed before, passed now\n$/);
  });

  test('whose reports cannot be written says its verdict all the same, and exits 3', LONG, async () => {
    const reports = path.join(bench.layout.home, 'reports');
    const result = await bench.np(folder, 'test', 'spoiler', '--report-dir', reports, '--json');
    const { runs } = parsed<SuiteReport>(result);
    expect({ exit: result.exit, verdicts: runs.map(({ verdict }) => verdict) }).toEqual({
      exit: 3,
      verdicts: ['passed'],
    });
    expect(result.stderr).toMatch(/^error: the reports were not written: ENOTDIR: /m);
    expect(await bench.np(folder, 'report', runs[0]?.run ?? '', '--output', '.')).toEqual({
      exit: 2,
      stdout: '',
      stderr:
        'error: --output: cannot write to .: it is a folder\nhint: name another place with --output\ncode: CONFIG_FLAG\n',
    });
  });

  test('that is terminated from outside is cancelled, its runs as far as they came', LONG, async () => {
    const waiting = bench.start(folder, 'test', 'fine', 'endless', '--parallel', '1', '--json');
    let suite = '';
    await reached('the second run', async () => {
      const runs = parsed<readonly RunReport[]>(await bench.np(folder, 'status', '--json'));
      const endless = runs.find((run) => run.profile === 'endless');
      suite = endless?.suite ?? '';
      return endless?.state.startsWith('installing') === true;
    });
    await bench.link.client.workflow.getHandle(suite).terminate('by hand');
    const result = await waiting.ended;
    const { verdict, runs } = parsed<SuiteReport>(result);
    expect({ exit: result.exit, verdict, verdicts: runs.map((run) => run.verdict) }).toEqual({
      exit: 130,
      verdict: 'cancelled',
      verdicts: ['passed', 'cancelled'],
    });
  });

  test('that fails fast stops what runs and begins nothing more, and is failed', LONG, async () => {
    const order = ['slow', 'broken', 'fine', 'unsteady'];
    const result = await bench.np(folder, 'test', ...order, '--fail-fast', '--parallel', '2', '--json');
    const suite = parsed<SuiteReport>(result);
    expect({ exit: result.exit, verdict: suite.verdict }).toEqual({ exit: 1, verdict: 'failed' });
    expect(suite.runs.map(({ profile: name, verdict }) => [name, verdict])).toEqual([
      ['slow', 'cancelled'],
      ['broken', 'failed'],
      ['fine', 'cancelled'],
      ['unsteady', 'cancelled'],
    ]);
    expect(suite.runs[3]?.state).toBe('never started');
  });
});

test.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'what ends in a fault of the bench is run again as another run, so often at most; a matrix of drivers names its cells',
  LONG,
  async () => {
    // The base was not prepared in this home.
    const result = await bench.np(folder, 'test', '--config', 'qemu.json', '--retry-errors', '2', '--json');
    const suite = parsed<SuiteReport>(result);
    expect(result.exit).toBe(3);
    const stamp = suite.suite.slice('suite'.length);
    expect(suite.runs.map(({ run, verdict, fault }) => [run, verdict, fault?.code])).toEqual([
      [`lost${stamp}`, 'error', 'HOST_BASE_MISSING'],
      [`lost-retry1${stamp}`, 'error', 'HOST_BASE_MISSING'],
      [`lost-retry2${stamp}`, 'error', 'HOST_BASE_MISSING'],
      [`fine${stamp}`, 'passed', undefined],
    ]);
    expect(suite.runs[0]?.notes.at(-1)).toBe(`run again as lost-retry1${stamp}`);

    const matrix = await bench.np(folder, 'test', 'fine', '--driver', 'sandbox,qemu', '--base', 'debian', '--json');
    const cells = parsed<SuiteReport>(matrix);
    expect(
      cells.runs.map(({ run, driver, base }) => [run.slice(0, -cells.suite.length + 'suite'.length), driver, base]),
    ).toEqual([
      ['fine-sandbox-debian', 'sandbox', 'debian'],
      ['fine-qemu-debian', 'qemu', 'debian'],
    ]);
    await bench.expectNothingLeft();
  },
);
