import { readdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { WORKFLOWS } from '../../src/domain/names.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { isCancelling } from '../../src/client.js';
import { signalIfThere } from '../../src/host/process.js';
import { findStack } from '../../src/stack/membership/join.js';
import { sealedResult } from '../../src/temporal/sealing.js';
import { isThere, LONG, onlyRun, openBench, parsed, reached, type Bench } from './bench.js';

/** An installer that says that it runs, and goes on until `go` is there. */
const PATIENT =
  '#!/bin/sh\necho ::PHASE::WAITING; touch "$NIXPROOF_ROOT/begun"; until [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.1; done\n';
/** What is known of that installer when it was stopped. */
const AS_FAR_AS_IT_CAME = {
  attempts: 1,
  phases: [{ name: 'WAITING', attempt: 1 }],
  log: { bytes: 17, lines: 1, sha256: expect.stringMatching(/^[\da-f]{64}$/) as string, verified: false },
};
const QUICK = '#!/bin/sh\necho installed\n';

const profile = (name: string, more = '') =>
  `  ${name}: { driver: sandbox, install: { kind: script, run: ./install.sh }${more} }\n`;

async function patient(bench: Bench, name: string, script = PATIENT, more = ''): Promise<string> {
  return bench.folder({ 'nixproof.yaml': `profiles:\n${profile(name, more)}`, 'install.sh': script });
}

/** What is true of every run that was cancelled: its verdict everywhere, its reports, and nothing else of it. */
async function expectCancelled(bench: Bench, report: RunReport): Promise<void> {
  expect(report).toMatchObject({ verdict: 'cancelled', state: 'done', failures: [], checks: [] });
  expect(await readdir(bench.layout.runs)).toContain(report.run);
  for (const file of ['report.json', 'report.html', 'report.md', 'junit.xml'])
    expect(await readFile(path.join(report.artifacts, file), 'utf8')).toContain('cancelled');
  expect(await bench.status(report.run)).toMatchObject({ verdict: 'cancelled' });
}

describe('with a server elsewhere', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench('own');
  });

  test(
    'Ctrl-C leaves at once where no worker is there; what was asked for is done by the one that comes',
    LONG,
    async () => {
      const early = await bench.np(await patient(bench, 'early', QUICK), 'test', '--detach', '--json');
      const { runs } = parsed<SuiteReport>(early);
      const waiting = runs[0]?.run ?? '';
      expect(await bench.status(waiting)).toMatchObject({
        run: waiting,
        profile: 'early',
        verdict: null,
        state: 'waiting',
      });

      const command = bench.start(await patient(bench, 'abandoned'), 'test', '--json');
      await command.says(/no worker is there for \S+: the test waits for one \(`nixproof worker`\)\n/);
      await command.says(/no worker answers: is one running for this server\? \(`nixproof worker`\)\n/);
      command.kill('SIGINT');
      const left = await command.ended;
      expect(left).toMatchObject({ exit: 130, stderr: expect.stringContaining('the next one ends suite-') as string });
      expect(parsed<SuiteReport>(left).runs).toMatchObject([{ profile: 'abandoned', verdict: null }]);
      const { suite } = parsed<SuiteReport>(left);
      expect(await isCancelling(bench.link, suite)).toBe(true);
      // Where a command waits all the same, the second Ctrl-C ends it.
      const cancelling = bench.start(await bench.folder({}), 'cancel', suite);
      await cancelling.says(/forcing it\ncancelling/);
      let ended = false;
      void cancelling.ended.then(() => (ended = true));
      await reached('the end of the command', () => {
        cancelling.kill('SIGINT');
        return Promise.resolve(ended);
      });
      expect(await cancelling.ended).toMatchObject({ exit: 130, stdout: '' });
      await bench.worker();
      expect(await bench.verdictOf(waiting)).toMatchObject({ verdict: 'passed' });
      const suites: unknown[] = [];
      for await (const { workflowId } of bench.link.client.workflow.list({ query: "WorkflowType = 'testSuite'" }))
        suites.push(await sealedResult(bench.link.client.workflow.getHandle(workflowId), WORKFLOWS.suite));
      expect(suites).toContainEqual(
        expect.objectContaining({
          verdict: 'cancelled',
          runs: [{ run: expect.any(String) as string, profile: 'abandoned', driver: 'sandbox', verdict: 'cancelled' }],
        }),
      );
      await bench.expectNothingLeft();
    },
  );

  describe.concurrent('Ctrl-C while', () => {
    /** Waits until a file of a machine is there, and gives the run that the machine is of. */
    const inMachine = async (name: string, file: string): Promise<string> => {
      const root = await bench.root(name);
      await reached(`${file} in ${name}`, () => isThere(path.join(root, file)));
      return path.basename(path.dirname(root));
    };
    const copied = async (name: string, text: string) => {
      const run = await inMachine(name, 'begun');
      const log = path.join(bench.layout.runs, run, 'attempt-1/install.log');
      await reached(`${text} in ${log}`, async () => (await readFile(log, 'utf8').catch(() => '')).includes(text));
    };
    const moments: readonly {
      readonly what: string;
      readonly more?: string;
      readonly script?: string;
      readonly now: () => Promise<unknown>;
      readonly report: Readonly<Record<string, unknown>>;
    }[] = [
      { what: 'cloning', now: () => bench.root('cloning'), report: {} },
      {
        what: 'deploying',
        more: ', deploy: { from: ., to: /srv/big }',
        now: () => inMachine('deploying', 'srv/big.new/disk.img'),
        report: { attempts: 0, phases: [] },
      },
      { what: 'installing', now: () => copied('installing', 'WAITING'), report: AS_FAR_AS_IT_CAME },
      {
        what: 'verifying',
        script: QUICK,
        more: `, checks: [{ run: 'touch "$NIXPROOF_ROOT/begun"; sleep 100' }]`,
        now: () => inMachine('verifying', 'begun'),
        report: { attempts: 1, log: { lines: 1, verified: true } },
      },
    ];

    test('a secret is being read: its command is ended, and not started again to tidy up', LONG, async () => {
      const folder = await bench.folder({
        'nixproof.yaml': `secrets: { asked: { command: [./ask] } }
profiles: { asking: { driver: sandbox, install: { kind: script, run: x, env: { ASKED: { secret: asked } } } } }
`,
      });
      await writeFile(path.join(folder, 'ask'), '#!/bin/sh\necho $$ >>asked; exec sleep 100\n', { mode: 0o755 });
      const command = bench.start(folder, 'test', '--json');
      const asked = () => readFile(path.join(folder, 'asked'), 'utf8').catch(() => '');
      await reached('a secret that is asked for', async () => (await asked()) !== '');
      command.kill('SIGINT');
      const ended = await command.ended;
      expect(ended.exit).toBe(130);
      expect(onlyRun(ended)).toMatchObject({ verdict: 'cancelled', phases: [] });
      const [pid, ...more] = (await asked()).trim().split('\n');
      expect(more).toEqual([]);
      expect(() => process.kill(Number(pid), 0)).toThrow('ESRCH');
    });

    test.each(moments)('$what', LONG, async ({ what, more, script, now, report }) => {
      const folder = await patient(bench, what, script, more);
      await writeFile(path.join(folder, 'disk.img'), '');
      if (what === 'deploying') await truncate(path.join(folder, 'disk.img'), 1 << 30);
      const command = bench.start(folder, 'test', '--json');
      await now();
      command.kill('SIGINT');
      const ended = await command.ended;
      expect(ended.exit).toBe(130);
      expect(ended.stderr).toContain('cancelling; once more leaves it to the worker\n');
      expect(parsed<SuiteReport>(ended).verdict).toBe('cancelled');
      const run = onlyRun(ended);
      expect(run).toMatchObject(report);
      await expectCancelled(bench, run);
    });

    test('nothing: `cancel` and `--timeout` end runs as well', LONG, async () => {
      const limited = bench.np(await patient(bench, 'limited'), 'test', '--json', '--timeout', '30s');
      const command = bench.start(await patient(bench, 'cancelled'), 'test', '--json');
      const run = await inMachine('cancelled', 'begun');
      expect(await bench.np(bench.layout.home, 'cancel', run)).toEqual({
        exit: 0,
        stdout: `${run}: cancelled\n`,
        stderr: `cancelling ${run}\n`,
      });
      const ended = await command.ended;
      expect(ended.exit).toBe(130);
      await expectCancelled(bench, onlyRun(ended));
      expect(await bench.np(bench.layout.home, 'cancel', run)).toEqual({
        exit: 0,
        stdout: `${run} has ended already\n`,
        stderr: '',
      });

      const late = await limited;
      expect(late.exit).toBe(1);
      expect(onlyRun(late)).toMatchObject({
        verdict: 'failed',
        failures: [{ reason: expect.stringMatching(/^the run took longer than 30 s while /) as string }],
      });
    });
  });

  test('leaves nothing', LONG, () => bench.expectNothingLeft());
});

describe('with the local stack', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench('local stack');
  });

  test('Ctrl-C while it starts: nothing is left, nothing was begun', LONG, async () => {
    const command = bench.start(await patient(bench, 'never'), 'test', '--json');
    await command.says(/starting the local Temporal server/);
    command.kill('SIGINT');
    const ended = await command.ended;
    expect(ended.exit).toBe(130);
    expect(parsed(ended)).toEqual({ error: { code: 'INTERNAL_INTERRUPTED', message: 'interrupted', details: {} } });
    await bench.expectNothingLeft();
    expect(await isThere(bench.layout.runs)).toBe(false);
  });

  test(
    '--detach, watch, Ctrl-C in watch, kill -9 of another test: both go on and end by themselves',
    LONG,
    async () => {
      const folder = await patient(bench, 'detached');
      const started = await bench.np(folder, 'test', '--detach', '--json');
      expect(started.exit).toBe(0);
      const { suite, verdict, runs } = parsed<SuiteReport>(started);
      expect(runs).toMatchObject([{ profile: 'detached', verdict: null, state: 'waiting', driver: 'sandbox' }]);
      expect(verdict).toBeNull();
      const run = runs[0]?.run ?? '';
      const early = await bench.status(run);
      expect(early).toMatchObject({ run, profile: 'detached', verdict: null });
      expect(early.state).not.toBe('done');

      const watcher = bench.start(folder, 'watch', suite);
      await watcher.says(/▸ WAITING/);
      watcher.kill('SIGINT');
      expect(await watcher.ended).toMatchObject({
        exit: 130,
        stdout: expect.stringMatching(/detached: suite-\S+ goes on\n$/) as string,
      });

      const killed = bench.start(await patient(bench, 'killed'), 'test', '--json');
      const roots = [await bench.root('detached'), await bench.root('killed')];
      for (const root of roots) await reached('the installer', () => isThere(path.join(root, 'begun')));
      killed.kill('SIGKILL');
      expect((await killed.ended).exit).toBe('SIGKILL');
      expect(await bench.status(run)).toMatchObject({
        verdict: null,
        state: expect.stringMatching(/^installing/) as string,
      });

      const follower = bench.start(folder, 'logs', run, '--follow');
      await follower.says(/::PHASE::WAITING\n/);
      for (const root of roots) await writeFile(path.join(root, 'go'), '');
      expect(await follower.ended).toEqual({ exit: 0, stdout: '::PHASE::WAITING\n', stderr: '' });
      await bench.expectNothingLeft();
      const ids = roots.map((root) => path.basename(path.dirname(root)));
      expect(ids[0]).toBe(run);
      for (const id of ids) expect(await bench.status(id)).toMatchObject({ verdict: 'passed', state: 'done' });
    },
  );

  test('kill -9 of everything: `status` says so, `up` goes on with it, Ctrl-C ends `up`', LONG, async () => {
    const folder = await patient(bench, 'orphaned');
    const command = bench.start(folder, 'test', '--json');
    const root = await bench.root('orphaned');
    await reached('the installer', () => isThere(path.join(root, 'begun')));
    const run = path.basename(path.dirname(root));
    const stack = await findStack(bench.layout);
    command.kill('SIGKILL');
    await command.ended;
    for (const part of [stack?.holder, stack?.worker, stack?.server]) if (part) signalIfThere(part.pid, 'SIGKILL');
    await writeFile(path.join(root, 'go'), '');
    expect(parsed<RunReport>(await bench.np(folder, 'status', run, '--json'))).toMatchObject({
      verdict: null,
      state: 'interrupted: `nixproof up` goes on with it',
    });
    const up = bench.start(folder, 'up');
    await up.says(/Ctrl-C stops it\n/);
    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({ verdict: 'passed', attempts: 1, log: { lines: 1, verified: true } });
    up.kill('SIGINT');
    expect(await up.ended).toMatchObject({ exit: 0 });
    await bench.expectNothingLeft();
  });
});
