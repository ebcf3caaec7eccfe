import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HealRecord, PendingHeal, RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { readIfThere } from '../../src/host/files.js';
import { identify, runCommand } from '../../src/host/process.js';
import { comparesShown, HEALS } from '../shown.js';
import { isThere, LONG, onlyRun, openBench, parsed, reached, type Bench, type Ended } from './bench.js';

/** Fails for a class that has no built-in heal, until somebody has made `fixed`. */
const BROKEN =
  '#!/bin/sh\nnixproof-phase ONE\n[ -e "$NIXPROOF_ROOT/fixed" ] || { echo "Job for demo.service failed"; exit 1; }\nnixproof-phase TWO\n';

interface UserHeal {
  readonly name: string;
  readonly confidence: number;
  readonly run?: readonly string[];
  readonly undo?: readonly string[];
  readonly config?: Readonly<Record<string, string>>;
}

/** A profile of this name with heals of its own. The installer is `install.sh` of the folder. */
function configOf(profile: string, heals: readonly UserHeal[], more: object = {}, checks: readonly object[] = []) {
  const config = {
    profiles: { [profile]: { driver: 'sandbox', install: { kind: 'script', run: './install.sh' }, checks } },
    healing: { ...more, heals: heals.map((heal) => ({ for: 'service.failed', ...heal })) },
  };
  return JSON.stringify(config);
}

const folderOf = (bench: Bench, config: string, install = BROKEN) =>
  bench.folder({ 'nixproof.yaml': config, 'install.sh': install });

const outcomes = ({ heals }: RunReport) => heals.map(({ name, outcome }) => [name, outcome]);

async function detached(bench: Bench, folder: string, ...args: string[]): Promise<string> {
  const { runs } = parsed<SuiteReport>(await bench.np(folder, 'test', ...args, '--detach', '--json'));
  return runs[0]?.run ?? '';
}

/** Waits until a run waits for a person, with another heal than one that was decided on already. */
async function pendingOf(bench: Bench, run: string, decided = ''): Promise<PendingHeal> {
  let found: PendingHeal | undefined;
  await reached(`a heal of ${run} that waits`, async () => {
    found = (await bench.status(run)).pending;
    return found !== undefined && found.name !== decided;
  });
  if (!found) throw new Error('unreachable');
  return found;
}

const FIX = 'touch "$NIXPROOF_ROOT/fixed"';

describe.concurrent('healing', () => {
  const shows = comparesShown(HEALS, () => 'run');

  test('by one that does nothing and the next, which is kept as a patch and learned from', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const config = configOf('site', [
      { name: 'do-nothing', confidence: 0.95, run: ['true'] },
      {
        name: 'new-mode',
        confidence: 0.9,
        config: { 'site/mode': 'new\n', 'site/notes.txt': 'no newline at its end' },
      },
    ]);
    const install =
      '#!/bin/sh\nnixproof-phase ONE\n[ "$(cat site/mode)" = new ] || { echo "Job for demo.service failed"; exit 1; }\n';
    const folder = await bench.folder({
      'nixproof.yaml': config,
      'install.sh': install,
      'site/mode': 'old\n',
    });

    const strict = await bench.np(folder, 'test', '--strict', '--json');
    const first = onlyRun(strict);
    expect({ exit: strict.exit, verdict: first.verdict, attempts: first.attempts }).toEqual({
      exit: 1,
      verdict: 'healed',
      attempts: 3,
    });
    expect(first.heals).toMatchObject([
      {
        number: 1,
        name: 'do-nothing',
        class: 'service.failed',
        phase: 'ONE',
        outcome: 'no-effect',
        files: 0,
        seen: { worked: 0, notWorked: 0 },
        reason: 'the installer failed at the same point',
      },
      {
        number: 2,
        name: 'new-mode',
        outcome: 'worked',
        resumed: 'rerun',
        files: 2,
        reason: 'the installer got past the failure',
      },
    ] satisfies readonly Partial<HealRecord>[]);
    expect(first.historyEvents).toBeLessThan(200);

    // What healed it, committed by the user: a run that needs no healing.
    const committed = `${folder}-committed`;
    await cp(folder, committed, { recursive: true });
    const { stdout: patch } = await bench.np(folder, 'patch', first.run);
    await runCommand('git', ['apply', '-'], { cwd: committed, input: patch });
    expect(await readFile(path.join(committed, 'site/mode'), 'utf8')).toBe('new\n');
    expect(await readFile(path.join(committed, 'site/notes.txt'), 'utf8')).toBe('no newline at its end');
    const [fresh, again] = await Promise.all([
      bench.np(committed, 'test', '--strict', '--json'),
      bench.np(folder, 'test', '--json'),
    ]);
    expect({ exit: fresh.exit, run: onlyRun(fresh) }).toMatchObject({ exit: 0, run: { verdict: 'passed', heals: [] } });

    // The same failure again: what worked comes first, and is surer.
    const second = onlyRun(again);
    expect({ exit: again.exit, verdict: second.verdict }).toEqual({ exit: 0, verdict: 'healed' });
    expect(second.heals).toMatchObject([
      { name: 'new-mode', outcome: 'worked', seen: { worked: 1, notWorked: 0 }, files: 2 },
    ]);
    expect(second.heals[0]?.confidence).toBeGreaterThan(first.heals[1]?.confidence ?? 1);

    const none = await bench.np(folder, 'patch', onlyRun(fresh).run);
    expect(none.exit).toBe(2);
    expect(none.stderr).toContain(
      'has no patch: no heal that worked changed the configuration\nhint: see `nixproof status',
    );
    await bench.expectNothingLeft();
  });

  test('that a person is asked about: yes, no, another name, and nobody in time', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const heals = [
      { name: 'fix-it', confidence: 0.9, run: [FIX] },
      { name: 'do-nothing', confidence: 0.3, run: ['true'] },
    ];
    const patient = await folderOf(bench, configOf('asked', heals, { policy: 'ask' }));
    const hasty = await folderOf(bench, configOf('hasty', heals, { policy: 'ask', ask: '1s' }));
    const [yes, no, late] = await Promise.all([
      detached(bench, patient),
      detached(bench, patient),
      detached(bench, hasty),
    ]);

    expect(await pendingOf(bench, yes)).toMatchObject({ name: 'fix-it', class: 'service.failed', commands: [FIX] });
    const wrong = await bench.np(patient, 'approve', yes, 'do-nothing', '--verbose');
    expect(wrong.exit).toBe(2);
    expect(wrong.stderr).toContain(`error: run ${yes} does not wait with do-nothing: it waits with fix-it`);
    expect(wrong.stderr).toMatch(/^code: CONFIG_NOT_PENDING$/m);
    expect(await bench.np(patient, 'approve', yes)).toMatchObject({ exit: 0 });

    await pendingOf(bench, no);
    expect(await bench.np(patient, 'reject', no, 'fix-it')).toMatchObject({ exit: 0 });
    expect(await pendingOf(bench, no, 'fix-it')).toMatchObject({ name: 'do-nothing' });
    expect(await bench.np(patient, 'reject', no)).toMatchObject({ exit: 0 });

    const [approved, rejected, expired] = await Promise.all([yes, no, late].map((run) => bench.verdictOf(run)));
    expect(approved).toMatchObject({ verdict: 'healed', heals: [{ name: 'fix-it', outcome: 'worked' }] });
    expect(approved).not.toHaveProperty('pending');
    const refused = (reason: string) =>
      heals.map(({ name }) => ({ name, outcome: 'rejected', reason, seen: { worked: 0, notWorked: 0 } }));
    expect(rejected).toMatchObject({ verdict: 'failed', attempts: 1, heals: refused('a person rejected it') });
    expect(expired).toMatchObject({ verdict: 'failed', attempts: 1, heals: refused('nobody approved it in time') });

    const over = await bench.np(patient, 'reject', no);
    expect(over.exit).toBe(2);
    expect(over.stderr).toContain(`error: run ${no} does not wait with a heal: it waits for nobody`);
    await bench.expectNothingLeft();
  });

  test('goes on where a worker was killed while it waited, and in the middle of a heal', LONG, async () => {
    const bench = await openBench('own');
    const first = await bench.worker();
    const slow = 'echo applied >>"$NIXPROOF_ROOT/applied"; until [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.1; done';
    const inHeal = await folderOf(
      bench,
      configOf('in-heal', [{ name: 'slow-fix', confidence: 0.9, run: [slow, FIX] }]),
    );
    const waiting = await folderOf(
      bench,
      configOf('waiting', [{ name: 'fix-it', confidence: 0.9, run: [FIX] }], { policy: 'ask' }),
    );
    const healing = await detached(bench, inHeal);
    const asking = await detached(bench, waiting);
    const root = await bench.root('in-heal');
    await reached('the heal', () => isThere(path.join(root, 'applied')));
    const before = await pendingOf(bench, asking);
    first.kill('SIGKILL');
    await first.ended;
    await bench.worker();

    expect(await pendingOf(bench, asking)).toEqual(before);
    expect(await bench.np(waiting, 'approve', asking, 'fix-it')).toMatchObject({ exit: 0 });
    expect(await bench.verdictOf(asking)).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      heals: [{ name: 'fix-it', outcome: 'worked' }],
    });
    expect(await readFile(path.join(root, 'applied'), 'utf8')).toBe('applied\n');
    await writeFile(path.join(root, 'go'), '');
    const report = await bench.verdictOf(healing);
    expect(report).toMatchObject({ verdict: 'healed', attempts: 2, heals: [{ name: 'slow-fix', outcome: 'worked' }] });
    const record = await readFile(path.join(bench.layout.home, 'records/heals.ndjson'), 'utf8');
    expect(record.trim().split('\n')).toHaveLength(2);
    await bench.expectNothingLeft();
  });

  test('tells of one that was on trial when the run was cancelled', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const install =
      '#!/bin/sh\nnixproof-phase ONE\n[ -e "$NIXPROOF_ROOT/fixed" ] || { echo "Job for demo.service failed"; exit 1; }\nsleep 600\n';
    const folder = await folderOf(bench, configOf('slow', [{ name: 'fix', confidence: 0.9, run: [FIX] }]), install);
    const run = await detached(bench, folder);
    await reached('the attempt after the heal', async () => (await bench.status(run)).attempts === 2);
    expect((await bench.np(folder, 'cancel', run)).exit).toBe(0);
    await reached('its end', async () => (await bench.status(run)).verdict !== null);
    const { verdict, heals, notes } = await bench.status(run);
    expect({ verdict, heals }).toEqual({ verdict: 'cancelled', heals: [] });
    expect(notes).toContain('the run ended before the heal fix had shown whether it works');
    await bench.expectNothingLeft();
  });

  test('a log that is followed goes on with the next attempt', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const install = `#!/bin/sh
echo begun
until [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.1; done
[ -e "$NIXPROOF_ROOT/fixed" ] || { echo "Job for demo.service failed"; exit 1; }
echo it works
`;
    const folder = await folderOf(bench, configOf('told', [{ name: 'fix', confidence: 0.9, run: [FIX] }]), install);
    const run = await detached(bench, folder);
    await reached('the installer', async () => (await bench.status(run)).attempts === 1);
    const all = bench.start(folder, 'logs', run, '--follow');
    const first = bench.start(folder, 'logs', run, '--follow', '--attempt', '1');
    const none = bench.start(folder, 'logs', run, '--follow', '--attempt', '7');
    await Promise.all([all, first].map((follower) => follower.says(/^begun$/m)));
    await writeFile(path.join(await bench.root('told'), 'go'), '');
    expect(await all.ended).toEqual({
      exit: 0,
      stdout: 'begun\nJob for demo.service failed\nbegun\nit works\n',
      stderr: 'attempt 2\n',
    });
    expect(await first.ended).toEqual({ exit: 0, stdout: 'begun\nJob for demo.service failed\n', stderr: '' });
    expect(await none.ended).toMatchObject({
      exit: 2,
      stdout: '',
      stderr: expect.stringContaining(
        `error: run ${run} has no log of attempt 7 on this host\nhint: it ran on host `,
      ) as string,
    });
    await bench.expectNothingLeft();
  });

  test(
    'a run that is cancelled in the middle of one leaves nothing of it running on a machine that is kept',
    LONG,
    async () => {
      const bench = await openBench('own');
      await bench.worker();
      const endless = { name: 'endless', confidence: 0.9, run: ['echo $$ >"$NIXPROOF_ROOT/pid"; exec sleep 600'] };
      const folder = await folderOf(bench, configOf('endless', [endless]));
      const run = await detached(bench, folder, '--keep', 'always');
      const file = path.join(await bench.root('endless'), 'pid');
      await reached('the heal', async () => (await readIfThere(file))?.endsWith('\n') ?? false);
      const pid = Number(await readFile(file, 'utf8'));
      expect(await identify(pid)).toBeDefined();
      expect((await bench.np(folder, 'cancel', run)).exit).toBe(0);
      expect(await bench.verdictOf(run)).toMatchObject({ verdict: 'cancelled', attempts: 1 });
      expect(await identify(pid)).toBeUndefined();
      expect((await bench.np(folder, 'vm', 'stop', run)).exit).toBe(0);
      await bench.expectNothingLeft();
    },
  );

  test('is not done where it is off; a heal that fails is undone; a killed installer is run again', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const off = await folderOf(bench, configOf('off', [{ name: 'fix-it', confidence: 0.9, run: [FIX] }]));
    const half = await folderOf(
      bench,
      configOf(
        'half',
        [
          {
            name: 'half-a-heal',
            confidence: 0.95,
            run: ['touch "$NIXPROOF_ROOT/half"', 'echo it broke; exit 7', FIX],
            undo: ['rm "$NIXPROOF_ROOT/half" && touch "$NIXPROOF_ROOT/undone"'],
          },
          { name: 'whole-heal', confidence: 0.9, run: [FIX] },
        ],
        {},
        [
          {
            name: 'undone',
            run: '[ ! -e "$NIXPROOF_ROOT/half" ] && [ -e "$NIXPROOF_ROOT/undone" ] && echo yes',
            expect: 'yes',
          },
        ],
      ),
    );
    const killed = await folderOf(
      bench,
      configOf('killed', []),
      '#!/bin/sh\n[ ! -e "$NIXPROOF_ROOT/begun" ] || exit 0\ntouch "$NIXPROOF_ROOT/begun"\nsleep 600\n',
    );
    const passes = await folderOf(
      bench,
      configOf('passes', [], { threshold: 0.2 }),
      '#!/bin/sh\n[ ! -e "$NIXPROOF_ROOT/begun" ] || exit 0\ntouch "$NIXPROOF_ROOT/begun"\necho "Timed out waiting for device /dev/vdb."\nexit 1\n',
    );
    const running = bench.np(killed, 'test', '--json');
    const disabled = bench.withEnv({ HEALING_ENABLED: 'false' });
    const unhealed = Promise.all([
      bench.np(off, 'test', '--no-heal', '--json'),
      bench.np(off, 'test', '--max-heals', '0', '--json'),
      disabled.np(off, 'test', '--json'),
    ]);
    const root = await bench.root('killed');
    await reached('the installer', () => isThere(path.join(root, 'begun')));
    const pid = Number(await readFile(path.join(root, 'var/lib/nixproof/attempt-1/pid'), 'utf8'));
    process.kill(-pid, 'SIGKILL');

    for (const ended of await unhealed) {
      expect(ended.exit).toBe(1);
      expect(onlyRun(ended)).toMatchObject({ verdict: 'failed', attempts: 1, heals: [] });
    }
    const again = await running;
    expect(again.exit).toBe(0);
    expect(onlyRun(again)).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      failures: [{ reason: 'the installer was killed before it could say how it ended' }],
      heals: [{ name: 'run-again-after-a-kill', outcome: 'worked', resumed: 'rerun' }],
    });
    shows('run-again-after-a-kill');
    const passing = onlyRun(await bench.np(passes, 'test', '--json'));
    expect(passing).toMatchObject({
      verdict: 'healed',
      attempts: 2,
      failures: [{ class: 'timeout' }],
      heals: [{ name: 'run-again', outcome: 'worked', files: 0 }],
    });
    shows('run-again');
    const undone = onlyRun(await bench.np(half, 'test', '--json'));
    expect(outcomes(undone)).toEqual([
      ['half-a-heal', 'failed'],
      ['whole-heal', 'worked'],
    ]);
    expect(undone.heals[0]?.reason).toBe('its commands failed: it broke');
    expect(undone).toMatchObject({ verdict: 'healed', attempts: 2, checks: [{ name: 'undone', status: 'pass' }] });
    await bench.expectNothingLeft();
  });

  test(
    'an unknown failure shows what earlier successes of the profile did not have; a killed heal is no wait',
    LONG,
    async () => {
      const bench = await openBench('own');
      await bench.worker();
      const install = `#!/bin/sh
nixproof-phase ONE
echo "ERROR: the mirror list has $(date +%s) bad entries"
[ ! -e broken ] || { echo "ERROR: the frobnicator exploded"; exit 1; }
`;
      const folder = await folderOf(bench, configOf('usual', []), install);
      const firstLine = (ended: Ended) => onlyRun(ended).failures[0]?.line;
      await writeFile(path.join(folder, 'broken'), '');
      expect(firstLine(await bench.np(folder, 'test', '--no-heal', '--json'))).toMatch(
        /the mirror list has \d+ bad entries/,
      );
      await rm(path.join(folder, 'broken'));
      expect(onlyRun(await bench.np(folder, 'test', '--json')).verdict).toBe('passed');
      await writeFile(path.join(folder, 'broken'), '');
      expect(firstLine(await bench.np(folder, 'test', '--no-heal', '--json'))).toBe('ERROR: the frobnicator exploded');

      const suicide = { name: 'kills-itself', confidence: 0.9, run: ['kill -KILL -$(ps -o pgid= -p $$ | tr -d " ")'] };
      const killed = onlyRun(await bench.np(await folderOf(bench, configOf('killed', [suicide])), 'test', '--json'));
      expect(killed).toMatchObject({ verdict: 'failed', heals: [{ name: 'kills-itself', outcome: 'failed' }] });
      await bench.expectNothingLeft();
    },
  );

  test('ends where the heals that it may try are used up, all undone, in a short history', LONG, async () => {
    const bench = await openBench('own');
    await bench.worker();
    const useless = ['one', 'two', 'three'].map((name, index) => ({
      name: `heal-${name}`,
      confidence: 0.9 - index / 20,
      run: ['true'],
      undo: ['echo "undone $NIXPROOF_HEAL" >>"$NIXPROOF_ROOT/undone"'],
    }));
    const fix = { name: 'fix-it', confidence: 0.7, run: [FIX] };
    const folder = await folderOf(bench, configOf('bounded', [...useless, fix]));
    const limited = await folderOf(bench, configOf('limited', [...useless, fix]));
    const once = bench.withEnv({ MAX_HEALING_ATTEMPTS: '1' });
    const [all, flag, variable] = await Promise.all([
      bench.np(folder, 'test', '--keep', 'always', '--json'),
      bench.np(limited, 'test', '--max-heals', '1', '--json'),
      once.np(limited, 'test', '--json'),
    ]);
    for (const ended of [flag, variable]) {
      expect(ended.exit).toBe(1);
      expect(onlyRun(ended)).toMatchObject({ verdict: 'failed', attempts: 2 });
      expect(outcomes(onlyRun(ended))).toEqual([['heal-one', 'no-effect']]);
    }
    expect(all.exit).toBe(1);
    const report = onlyRun(all);
    expect(report).toMatchObject({ verdict: 'failed', attempts: 4 });
    expect(report.heals.map(({ number, outcome }) => [number, outcome])).toEqual([
      [1, 'no-effect'],
      [2, 'no-effect'],
      [3, 'no-effect'],
    ]);
    const root = await bench.root('bounded');
    expect(await readFile(path.join(root, 'undone'), 'utf8')).toBe('undone 1\nundone 2\nundone 3\n');
    const { historyLength } = await bench.link.client.workflow.getHandle(report.run).describe();
    expect(historyLength).toBeLessThan(200);
    expect(await bench.np(folder, 'vm', 'stop', report.run)).toMatchObject({ exit: 0 });
    await bench.expectNothingLeft();
  });
});
