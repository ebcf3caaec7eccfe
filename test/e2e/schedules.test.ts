import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { scheduleJson } from '../../src/cli/schedule/view.js';
import { WORKFLOWS } from '../../src/domain/names.js';
import type { Firing, Notification } from '../../src/domain/schedule.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { runCommand } from '../../src/host/process.js';
import { findSchedule, trigger } from '../../src/temporal/schedules.js';
import { sealedResult } from '../../src/temporal/sealing.js';
import { testKey } from '../test-key.js';
import { openedHistory } from './opened-history.js';
import { LONG, isThere, openBench, parsed, reached, type Bench, type Running } from './bench.js';

/** What `schedule show --json` prints, as far as it is looked at here. */
interface Shown {
  readonly name: string;
  readonly paused: boolean;
  readonly next: readonly string[];
  readonly last: (Pick<Firing, 'verdict' | 'suite' | 'source'> & { readonly open: boolean }) | null;
  readonly firings: readonly { readonly firing: string; readonly open: boolean; readonly verdict: string | null }[];
}

/** A receiver that fails twice before it takes anything: a key is delivered when it was answered with 200. */
interface Hook extends AsyncDisposable {
  readonly url: string;
  readonly requests: { readonly key: string; readonly body: Notification; readonly answered: number }[];
}

const FAILS = 2;

async function openHook(): Promise<Hook> {
  const requests: Hook['requests'] = [];
  const server: Server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (part: string) => (text += part));
    request.on('end', () => {
      const key = String(request.headers['idempotency-key']);
      const before = requests.filter((one) => one.key === key).length;
      const answered = before < FAILS ? 500 : 200;
      requests.push({ key, body: JSON.parse(text) as Notification, answered });
      response.writeHead(answered).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/a-secret-path`,
    requests,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const PROFILE = 'profiles: { vm: { driver: sandbox, install: { kind: script, run: ./install.sh } } }\n';
const exits = (status: number) => `#!/bin/sh\necho ::PHASE::ONLY\nexit ${status}\n`;

let hook: Hook;
let bench: Bench;
let worker: Running;

beforeAll(async () => {
  hook = await openHook();
  bench = await openBench('own', { NIXPROOF_TEST_HOOK: hook.url });
  worker = await bench.worker();
});
afterAll(() => hook[Symbol.asyncDispose]());

/** What `schedule show NAME --json` prints, without a command's start. */
async function show(name: string): Promise<Shown> {
  const found = await findSchedule(bench.link, name);
  if (!found) throw new Error(`there is no schedule ${name}`);
  return JSON.parse(JSON.stringify(scheduleJson(found))) as Shown;
}

/** Fires now and waits for the end. */
function firingOf(id: string): Promise<Firing> {
  return sealedResult(bench.link.client.workflow.getHandle(id), WORKFLOWS.scheduled);
}

async function fire(name: string): Promise<Firing> {
  let id: string | undefined;
  // The server hears of the end of the firing before a moment after us.
  await reached(`a firing of ${name}`, async () => {
    id = await trigger(bench.link, name);
    return id !== undefined;
  });
  return firingOf(id ?? '');
}

describe('a repository that changes', LONG, () => {
  let repository: string;
  const commits: string[] = [];
  const firings: Firing[] = [];

  async function commit(files: Readonly<Record<string, string>>): Promise<string> {
    for (const [name, content] of Object.entries(files)) await writeFile(path.join(repository, name), content);
    const who = ['-c', 'user.name=tester', '-c', 'user.email=tester@example.org', '-c', 'commit.gpgsign=false'];
    await runCommand('git', ['add', '-A'], { cwd: repository });
    await runCommand('git', [...who, 'commit', '-q', '-m', 'change'], { cwd: repository });
    const id = (await runCommand('git', ['rev-parse', 'HEAD'], { cwd: repository })).trim();
    commits.push(id);
    return id;
  }

  /** What came of the next firing, and what was told of it. */
  async function next(): Promise<{ readonly firing: Firing; readonly told: Hook['requests'] }> {
    const before = hook.requests.length;
    const firing = await fire('changing');
    firings.push(firing);
    return { firing, told: hook.requests.slice(before) };
  }

  const delivered = (told: Hook['requests']) => {
    expect(told.map(({ answered }) => answered)).toEqual([500, 500, 200]);
    expect(new Set(told.map(({ key }) => key)).size).toBe(1);
    return told.at(-1)?.body;
  };

  beforeAll(async () => {
    repository = await bench.folder({ 'nixproof.yaml': PROFILE, 'install.sh': exits(0) });
    await runCommand('git', ['init', '-q', '-b', 'main'], { cwd: repository });
    await commit({});
    const made = await bench.np(
      repository,
      ...['schedule', 'create', 'changing', '--cron', '0 2 * * *', '--timezone', 'Europe/Berlin', '--ref', 'main'],
      ...['--notify-url', 'env:NIXPROOF_TEST_HOOK', '--json'],
    );
    expect(parsed<unknown>(made)).toMatchObject({
      name: 'changing',
      cron: '0 2 * * *',
      timezone: 'Europe/Berlin',
      catchupMs: 3_600_000,
      paused: false,
      source: { kind: 'git', repository, ref: 'main' },
      last: null,
    });
    const shown = parsed<Shown>(await bench.np(repository, 'schedule', 'show', 'changing', '--json'));
    expect(shown.next.length).toBeGreaterThan(0);
    expect(shown).toEqual(await show('changing'));
  });

  test('is tested at its commit, which the run, its report and the workflow say', async () => {
    const { firing, told } = await next();
    expect(firing).toMatchObject({ verdict: 'passed', source: { repository, ref: 'main', commit: commits[0] } });
    expect(told).toEqual([]);
    const run = firing.profiles.find(({ profile }) => profile === 'vm')?.run ?? '';
    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({ verdict: 'passed', source: { repository, ref: 'main', commit: commits[0] } });
    expect((await bench.np(repository, 'status', run)).stdout).toContain(`commit ${commits[0]?.slice(0, 12)}`);
    expect(await readFile(path.join(report.artifacts, 'report.html'), 'utf8')).toContain(commits[0]);
    const watched = parsed<SuiteReport>(await bench.np(repository, 'watch', firing.suite ?? '', '--json'));
    expect(watched).toMatchObject({ verdict: 'passed', runs: [{ run, source: { commit: commits[0] } }] });
  });

  test('breaks: told once, however often the receiver fails', async () => {
    const broken = await commit({ 'install.sh': exits(7) });
    const { firing, told } = await next();
    expect(firing).toMatchObject({ verdict: 'failed', source: { commit: broken }, undelivered: [] });
    expect(delivered(told)).toMatchObject({
      key: `${firing.suite}/vm/broke`,
      schedule: 'changing',
      profile: 'vm',
      change: 'broke',
      before: 'passed',
      verdict: 'failed',
      suite: firing.suite,
      source: { commit: broken },
      sourceBefore: { commit: commits[0] },
      text: `changing: vm broke (passed → failed) in ${firing.suite}`,
    });
    const [first = '', second = ''] = commits;
    const installer = (id: string) => readFile(path.join(bench.layout.sources, id, 'install.sh'), 'utf8');
    expect([await installer(first), await installer(second)]).toEqual([exits(0), exits(7)]);
  });

  test('stays broken: nothing is told', async () => {
    const { firing, told } = await next();
    expect([firing.verdict, firing.changes, told]).toEqual(['failed', [], []]);
  });

  test('is fixed: told once', async () => {
    const fixed = await commit({ 'install.sh': exits(0) });
    const { firing, told } = await next();
    expect(firing).toMatchObject({ verdict: 'passed', source: { commit: fixed } });
    expect(delivered(told)).toMatchObject({ profile: 'vm', change: 'fixed', before: 'failed', verdict: 'passed' });
  });

  test('has no valid configuration any more: that is told too, and no profile is forgotten', async () => {
    await commit({ 'nixproof.yaml': 'profiles: { vm: { instal: 1 } }\n' });
    const { firing, told } = await next();
    expect(firing).toMatchObject({ verdict: 'error', suite: null, fault: { code: 'CONFIG_INVALID' } });
    expect(delivered(told)).toMatchObject({ profile: null, change: 'broke', before: 'passed', verdict: 'error' });
    expect(firing.profiles.find(({ profile }) => profile === 'vm')?.verdict).toBe('passed');
    await commit({ 'nixproof.yaml': PROFILE });
    const mended = await next();
    expect(delivered(mended.told)).toMatchObject({ profile: null, change: 'fixed', verdict: 'passed' });
  });

  test('the list shows the next and the last', async () => {
    const listed = async () =>
      parsed<Shown[]>(await bench.np(repository, 'schedule', 'list', '--json')).find(({ name }) => name === 'changing');
    await reached('the list with the schedule', async () => (await listed()) !== undefined);
    const { next: times = [], last } = (await listed()) ?? {};
    expect(times[0]).toMatch(/T0[01]:00:00\.000Z$/);
    expect(last).toMatchObject({ open: false, verdict: 'passed', suite: firings.at(-1)?.suite });
    const { stdout } = await bench.np(repository, 'schedule', 'list');
    expect(stdout).toMatch(/^changing +0 2 \* \* \* Europe\/Berlin +\d.* ✓ passed +suite-/m);
  });

  test('no secret address is in any history', async () => {
    const { firings: past } = await show('changing');
    for (const { firing } of past) {
      const history = await openedHistory(bench.link, await testKey(), firing);
      expect(history).toContain('env:NIXPROOF_TEST_HOOK');
      expect(history).not.toContain('a-secret-path');
    }
  });

  test('old sources go with cleanup, unless a run that goes on has them', async () => {
    expect(await isThere(path.join(bench.layout.sources, commits[0] ?? ''))).toBe(true);
    const { stdout } = await bench.np(repository, 'cleanup', '--older-than', '1s');
    expect(stdout).toContain(`source ${commits[0]}`);
    expect(await isThere(path.join(bench.layout.sources, commits[0] ?? ''))).toBe(false);
    expect((await next()).firing.verdict).toBe('passed');
  });
});

test('a folder every few seconds; paused, resumed, deleted', LONG, async () => {
  const folder = await bench.folder({ 'nixproof.yaml': PROFILE, 'install.sh': exits(0) });
  const told = path.join(folder, '..', 'told.ndjson');
  const made = await bench.np(
    folder,
    ...['schedule', 'create', 'often', '--every', '3s', '--notify-command', `cat >> ${told}`],
  );
  expect(made).toMatchObject({ exit: 0, stderr: expect.stringContaining('is no git repository') as string });
  const ended = async () => (await show('often')).firings.filter(({ open }) => !open);
  await reached('two firings', async () => (await ended()).length >= 2);
  expect((await show('often')).firings.at(-1)).toMatchObject({ verdict: 'passed' });
  const first = (await ended()).at(-1);
  expect(first).toMatchObject({ source: { ref: '', commit: expect.stringMatching(/^sha256-/) as string } });
  expect(await isThere(told)).toBe(false);

  await writeFile(path.join(folder, 'install.sh'), exits(3));
  await reached('a failed firing that was told', () => isThere(told));
  await reached('another one', async () => (await ended()).filter(({ verdict }) => verdict === 'failed').length >= 2);

  expect((await bench.np(folder, 'schedule', 'pause', 'often')).stdout).toBe('often is paused\n');
  await reached('the end of the last firing', async () => (await show('often')).firings.every(({ open }) => !open));
  const paused = await show('often');
  expect(paused).toMatchObject({ paused: true, next: [] });
  // A schedule that is paused still fires when it is told to.
  expect((await fire('often')).verdict).toBe('failed');
  const lines = (await readFile(told, 'utf8')).trim().split('\n');
  expect(lines.map((line) => (JSON.parse(line) as Notification).change)).toEqual(['broke']);

  await bench.np(folder, 'schedule', 'resume', 'often');
  const known = (await show('often')).firings[0]?.firing;
  await reached('a firing after that', async () => (await show('often')).firings[0]?.firing !== known);

  expect((await bench.np(folder, 'schedule', 'delete', 'often')).stdout).toBe('deleted often\n');
  expect(await bench.np(folder, 'schedule', 'show', 'often')).toMatchObject({ exit: 2 });
  const listed = async () => parsed<Shown[]>(await bench.np(folder, 'schedule', 'list', '--json'));
  await reached('a list without it', async () => !(await listed()).some(({ name }) => name === 'often'));
  await reached('the end of what went on', async () => {
    const open = bench.link.client.workflow.list({
      query: 'ExecutionStatus = "Running" AND WorkflowType = "scheduledSuite"',
    });
    for await (const { workflowId } of open) if (workflowId.startsWith('schedule-often')) return false;
    return true;
  });
  await bench.expectNothingLeft();
});

test('a worker that is killed in mid-firing: another goes on with it', LONG, async () => {
  const gate = path.join(bench.layout.home, '..', 'gate');
  const folder = await bench.folder({
    'nixproof.yaml': PROFILE,
    'install.sh': `#!/bin/sh\necho ::PHASE::WAITING\nuntil [ -e ${gate} ]; do sleep 0.1; done\n`,
  });
  await bench.np(folder, 'schedule', 'create', 'killed', '--cron', '@yearly', '--paused');
  const { stdout } = await bench.np(folder, 'schedule', 'trigger', 'killed');
  const id = /^(schedule-\S+) has begun/.exec(stdout)?.[1] ?? '';
  await bench.root('vm');
  worker.kill('SIGKILL');
  await worker.ended;
  // While it goes on, another one is not begun.
  expect((await bench.np(folder, 'schedule', 'trigger', 'killed')).stdout).toContain('the firing before goes on');
  worker = await bench.worker();
  await mkdir(gate);
  const firing = await firingOf(id);
  await rm(gate, { recursive: true });
  expect(firing).toMatchObject({ verdict: 'passed', undelivered: [] });
  await bench.np(folder, 'schedule', 'delete', 'killed');
  await bench.expectNothingLeft();
});

test('--overlap cancel-other: the firing before is cancelled, its machines go, and it says nothing', LONG, async () => {
  const gate = path.join(bench.layout.home, '..', 'gate');
  const folder = await bench.folder({
    'nixproof.yaml': PROFILE,
    'install.sh': `#!/bin/sh\necho ::PHASE::WAITING\nuntil [ -e ${gate} ]; do sleep 0.1; done\n`,
  });
  await bench.np(folder, 'schedule', 'create', 'urgent', '--cron', '@yearly', '--overlap', 'cancel-other');
  const trigger = async () => {
    const { stdout } = await bench.np(folder, 'schedule', 'trigger', 'urgent');
    return /^(schedule-\S+) has begun/.exec(stdout)?.[1] ?? '';
  };
  const first = await trigger();
  await bench.root('vm');
  const second = await trigger();
  expect(await firingOf(first)).toMatchObject({ verdict: 'cancelled', profiles: [], changes: [] });
  await mkdir(gate);
  expect(await firingOf(second)).toMatchObject({ verdict: 'passed', changes: [] });
  await rm(gate, { recursive: true });
  await bench.np(folder, 'schedule', 'delete', 'urgent');
  await bench.expectNothingLeft();
});

describe('what is refused before anything is made', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await bench.folder({ 'nixproof.yaml': PROFILE, 'install.sh': exits(0) });
  });

  test.each([
    [[], 'when is it to fire?'],
    [['--every', '5'], 'expected a duration'],
    [['--cron', '0 99 * * *'], 'the server does not take this schedule'],
    [['--cron', '0 2 * * *', '--timezone', 'Europe/Berln'], 'did you mean "Europe/Berlin"?'],
    [['--every', '1h', '--profiles', 'vn'], 'did you mean "vm"?'],
    [['--every', '1h', '--from', 'https://me:token@git.example/hosts'], 'holds a password or token'],
    [['--every', '1h', '--from', 'https://token@git.example/hosts'], 'holds a password or token'],
    [['--every', '1h', '--from', 'ext::sh -c id'], 'is no address that git has'],
    [['--every', '1h', '--from', 'nowhere'], 'there is no folder nowhere'],
    [['--every', '1h', '--ref', '--upload-pack=id'], 'is no branch, tag or commit'],
    [['--every', '1h', '--ref', 'main'], 'is no git repository'],
    [['--every', '1h', '--config', 'other.yaml'], 'there is no other.yaml'],
    [['--every', '1h', '--overlap', 'never'], 'Allowed choices are skip'],
    [['--every', '1h', '--notify-url', 'https://me:secret@chat.example/'], 'the address holds a user or password'],
    [['--every', '1h', '--notify-url', 'chat.example'], 'the address is no http or https URL'],
  ])('%j: %s', async (options, message) => {
    const ended = await bench.np(folder, 'schedule', 'create', 'wrong', ...options);
    expect(ended.exit).toBe(2);
    expect(ended.stderr).toContain(message);
    expect(ended.stderr).not.toMatch(/secret@|me:token|token@/);
  });

  test('a name that is taken, and one that cannot be', async () => {
    const create = (name: string) => bench.np(folder, 'schedule', 'create', name, '--cron', '@daily', '--paused');
    expect(await create('taken')).toMatchObject({ exit: 0 });
    expect(await create('taken')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('there is a schedule taken already') as string,
    });
    expect(await create('a/b')).toMatchObject({ exit: 2 });
    expect((await bench.np(folder, 'schedule', 'pause', 'tken')).stderr).toContain('did you mean "taken"?');
    expect((await bench.np(folder, 'schedule', 'delete', 'taken')).exit).toBe(0);
  });
});
