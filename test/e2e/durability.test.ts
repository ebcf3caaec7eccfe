import { createHash } from 'node:crypto';
import { appendFile, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ServerLink } from '../../src/client.js';
import type { RecordedEvent, StreamEvent } from '../../src/domain/event.js';
import { QUERIES, WORKFLOWS } from '../../src/domain/names.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { createStreamParser } from '../../src/stream/parser.js';
import { sealedResult } from '../../src/temporal/sealing.js';
import { isThere, LONG, openBench, parsed, reached, type Bench } from './bench.js';

const profile = (name: string, more = '', limits = '') =>
  `  ${name}: { driver: sandbox, install: { kind: script, run: ./${name}.sh${limits} }${more} }\n`;

async function detached(bench: Bench, folder: string, ...args: string[]): Promise<string> {
  const { runs } = parsed<SuiteReport>(await bench.np(folder, 'test', ...args, '--detach', '--json'));
  return runs[0]?.run ?? '';
}

const contains = async (file: string, text: string) => (await readFile(file, 'utf8').catch(() => '')).includes(text);

/** The tries of an activity that did not end well, with why, as the history has them. */
async function retried({ client }: ServerLink, run: string): Promise<Record<string, string>> {
  const { events = [] } = await client.workflow.getHandle(run).fetchHistory();
  const found: Record<string, string> = {};
  for (const { activityTaskStartedEventAttributes: started } of events ?? []) {
    if (!started?.lastFailure) continue;
    const scheduled = events?.find(({ eventId }) => String(eventId) === String(started.scheduledEventId));
    const name = scheduled?.activityTaskScheduledEventAttributes?.activityType?.name ?? '';
    const { applicationFailureInfo, timeoutFailureInfo } = started.lastFailure;
    found[name] = applicationFailureInfo?.type ?? (timeoutFailureInfo ? 'heartbeat timeout' : 'other');
  }
  return found;
}

/** What was measured of the system, of this host in a sandbox, in order of time. */
function expectHostMetrics({ metrics }: RunReport): void {
  const memory = metrics['host.memory.used'] ?? [];
  expect(memory.length).toBeGreaterThan(2);
  for (const [, bytes] of memory) expect(bytes).toBeGreaterThan(50 * 1024 * 1024);
  const cpu = metrics['host.cpu'] ?? [];
  expect(cpu.length).toBeGreaterThan(0);
  for (const [, share] of cpu) expect(share).toBeLessThan(1.2);
  expect(Object.keys(metrics).filter((name) => !name.startsWith('host.'))).toEqual([]);
  const times = memory.map(([at]) => at);
  expect(times).toEqual([...times].sort((a, b) => a - b));
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe.concurrent('a worker that dies', () => {
  test('twice in mid-install: the installer starts once, every line is kept once and in order', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile('counted', '', ', stall: 8s')}`,
      'counted.sh': `#!/bin/bash
echo "STARTED-ONCE $$"
for part in 1 2 3; do
  echo "::PHASE::PART_$part"
  for i in $(seq 1000); do
    echo "line $(((part - 1) * 1000 + i)) of 3000"
    [ $((i % 50)) = 0 ] && echo "::PROGRESS::count::$i/1000" && sleep 0.1
  done
  # Half a line and half a character stay behind when the follower is killed.
  printf 'half a line \\303'
  until [ -e "$NIXPROOF_ROOT/go-$part" ]; do sleep 0.05; done
  printf '\\244\\n'
done
echo "::SUCCESS::counted"
`,
    });
    let worker = await bench.worker();
    const run = await detached(bench, folder, 'counted', '--keep', 'always');
    const root = await bench.root('counted');
    const artifact = path.join(bench.layout.runs, run, 'attempt-1', 'install.log');
    const guestLog = path.join(root, 'var/lib/nixproof/attempt-1/install.log');

    await reached('line 400', () => contains(artifact, 'line 400 '));
    worker.kill('SIGKILL');
    // Printed while nobody follows: longer than a stall may be, and yet none.
    await reached('line 1000', () => contains(guestLog, 'line 1000 '));
    await writeFile(path.join(root, 'go-1'), '');
    worker = await bench.worker();
    await reached('line 1300', () => contains(artifact, 'line 1300 '));
    worker.kill('SIGKILL');
    await worker.ended;
    await writeFile(path.join(root, 'go-2'), '');
    await writeFile(path.join(root, 'go-3'), '');
    await reached('the end', () => contains(guestLog, 'counted'));
    await bench.worker();

    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({ verdict: 'passed', attempts: 1, log: { verified: true } });
    const log = await readFile(artifact);
    expect(report.log).toMatchObject({ bytes: log.length, sha256: sha256(log) });
    expect(sha256(await readFile(guestLog))).toBe(report.log.sha256);
    const text = log.toString();
    expect(text.match(/STARTED-ONCE/g)).toHaveLength(1);
    expect([...text.matchAll(/^line (\d+) /gm)].map(([, number]) => Number(number))).toEqual(
      Array.from({ length: 3000 }, (_, index) => index + 1),
    );
    expect(text.match(/^half a line ä$/gm)).toHaveLength(3);
    expect(report.log.lines).toBe(log.filter((byte) => byte === 0x0a).length);
    expect(await recordedEvents(artifact)).toEqual(parsedEvents(log));
    expect(report.phases.map(({ name }) => name)).toEqual(['PART_1', 'PART_2', 'PART_3', 'BOOT']);
    expect(await retried(bench.link, run)).toEqual({ followInstaller: 'heartbeat timeout' });
    expect((await bench.link.client.workflow.getHandle(run).describe()).historyLength).toBeLessThan(200);
  });

  test('in order, by SIGTERM: hands the installer over at once, without losing anything', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile('handed')}`,
      'handed.sh': `#!/bin/sh
i=0; until [ -e "$NIXPROOF_ROOT/go" ]; do i=$((i + 1)); echo "line $i"; sleep 0.05; done
`,
    });
    const first = await bench.worker();
    const run = await detached(bench, folder);
    const root = await bench.root('handed');
    const artifact = path.join(bench.layout.runs, run, 'attempt-1', 'install.log');
    await reached('line 20', () => contains(artifact, 'line 20\n'));
    await bench.worker();
    first.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ exit: 0 });
    const soFar = (await stat(artifact)).size;
    await reached('more lines', async () => (await stat(artifact)).size > soFar + 100);
    const system = path.join(bench.layout.runs, run, 'attempt-1', 'system.ndjson');
    // As one leaves it that is killed.
    await appendFile(system, '{"at":17957,"of":"ho');
    const readings = async () => (await readFile(system, 'utf8')).match(/"of":"host"/g)?.length ?? 0;
    const before = await readings();
    await reached('three readings more', async () => (await readings()) >= before + 3);
    await writeFile(path.join(root, 'go'), '');
    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({ verdict: 'passed', log: { verified: true } });
    const log = await readFile(artifact);
    expect(log.toString()).toBe(Array.from({ length: report.log.lines }, (_, i) => `line ${i + 1}\n`).join(''));
    expect(await recordedEvents(artifact)).toEqual(parsedEvents(log));
    expect(await retried(bench.link, run)).toEqual({ followInstaller: 'INTERNAL_WORKER_SHUTDOWN' });
    expectHostMetrics(report);
  });

  test('or seems to, stopped for longer than a heartbeat may take: back again, it writes nothing', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile('stopped')}`,
      'stopped.sh': `#!/bin/sh
echo started >>"$NIXPROOF_ROOT/starts"
i=0; until [ -e "$NIXPROOF_ROOT/go" ]; do i=$((i + 1)); echo "line $i"; sleep 0.05; done
`,
    });
    const first = await bench.worker();
    const run = await detached(bench, folder);
    const root = await bench.root('stopped');
    const artifact = path.join(bench.layout.runs, run, 'attempt-1', 'install.log');
    const lines = async () => (await readFile(artifact, 'utf8')).split('\n').length - 1;
    await reached('line 20', () => contains(artifact, 'line 20\n'));
    first.kill('SIGSTOP');
    const soFar = await lines();
    await bench.worker();
    await reached('another follower', async () => (await lines()) > soFar + 20);
    first.kill('SIGCONT');
    const both = await lines();
    await reached('lines with both alive', async () => (await lines()) > both + 40);
    first.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ exit: 0 });
    await writeFile(path.join(root, 'go'), '');
    const report = await bench.verdictOf(run);
    expect(report).toMatchObject({ verdict: 'passed', attempts: 1, log: { verified: true } });
    const log = await readFile(artifact);
    expect(log.toString()).toBe(Array.from({ length: report.log.lines }, (_, i) => `line ${i + 1}\n`).join(''));
    expect(await recordedEvents(artifact)).toEqual(parsedEvents(log));
    expect(await retried(bench.link, run)).toEqual({ followInstaller: 'heartbeat timeout' });
  });

  test('while one run is deployed and another is verified: both pass', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile(
        'verified',
        `, checks: [{ name: slow, run: 'echo >>"$NIXPROOF_ROOT/begun"; until [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.05; done; echo gone', expect: gone }]`,
      )}${profile('deployed', ', deploy: { from: ./big, to: /srv/big }')}`,
      'verified.sh': '#!/bin/sh\necho installed\n',
      'big/deployed.sh': '#!/bin/sh\nstat -c %s disk.img\n',
    });
    const size = 1 << 29;
    await writeFile(path.join(folder, 'big/disk.img'), '');
    await truncate(path.join(folder, 'big/disk.img'), size);
    const worker = await bench.worker();
    const verified = await detached(bench, folder, 'verified');
    const begun = path.join(await bench.root('verified'), 'begun');
    await reached('the check', () => isThere(begun));
    const deployed = await detached(bench, folder, 'deployed');
    const root = await bench.root('deployed');
    await reached('the copying', () => isThere(path.join(root, 'srv/big.new/disk.img')));
    worker.kill('SIGKILL');
    await worker.ended;
    await writeFile(path.join(path.dirname(begun), 'go'), '');
    await bench.worker();

    const [checked, copied] = await Promise.all([verified, deployed].map((run) => bench.verdictOf(run)));
    expect(checked).toMatchObject({ verdict: 'passed', attempts: 1, checks: [{ name: 'slow', status: 'pass' }] });
    expect(copied).toMatchObject({ verdict: 'passed', attempts: 1, log: { lines: 1, verified: true } });
    expect(await readFile(path.join(copied?.artifacts ?? '', 'attempt-1', 'install.log'), 'utf8')).toBe(`${size}\n`);
    expect(await retried(bench.link, verified)).toEqual({ verify: 'heartbeat timeout' });
    expect(await retried(bench.link, deployed)).toEqual({ deploy: 'heartbeat timeout' });
    await bench.expectNothingLeft();
  });
});

describe.concurrent('a person who', () => {
  test('pauses a run holds it before its next step, and lets it go on', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile('held', `, checks: [{ name: said, run: echo yes, expect: 'yes' }]`)}`,
      'held.sh': '#!/bin/sh\nuntil [ -e "$NIXPROOF_ROOT/go" ]; do sleep 0.05; done; echo went\n',
    });
    await bench.worker();
    const run = await detached(bench, folder);
    const root = await bench.root('held');
    await reached('installing', async () => (await bench.status(run)).state.startsWith('installing'));
    expect(await bench.np(folder, 'pause', run)).toMatchObject({
      exit: 0,
      stdout: `${run} holds before its next step\n`,
    });
    expect((await bench.status(run)).state).toMatch(/; then paused$/);
    await writeFile(path.join(root, 'go'), '');
    const before = 'paused before restarting from the installed disk';
    await reached(before, async () => (await bench.status(run)).state === before);
    expect(await bench.np(folder, 'resume', run)).toMatchObject({ exit: 0, stdout: `${run} goes on\n` });
    expect(await bench.verdictOf(run)).toMatchObject({ verdict: 'passed', checks: [{ status: 'pass' }] });
    expect(await bench.np(folder, 'pause', run)).toMatchObject({ exit: 0, stdout: `${run} has ended already\n` });
  });

  test('cancels twice waits for nothing that hangs', LONG, async () => {
    const bench = await openBench('own');
    const folder = await bench.folder({
      'nixproof.yaml': `profiles:\n${profile('forced')}`,
      'forced.sh': '#!/bin/sh\nuntil false; do sleep 0.05; done\n',
    });
    const worker = await bench.worker();
    const run = await detached(bench, folder);
    await bench.root('forced');
    await reached('installing', async () => (await bench.status(run)).state.startsWith('installing'));
    // A second home is another host: it takes the decisions, and nobody answers for the first one.
    worker.kill('SIGKILL');
    await worker.ended;
    const other = await openBench('elsewhere', bench.server);
    await other.worker();
    const first = bench.start(folder, 'cancel', run);
    await first.says(/cancelling/);
    expect(await bench.np(folder, 'cancel', run)).toMatchObject({ exit: 0, stdout: `${run}: cancelled\n` });
    expect(await first.ended).toMatchObject({ exit: 0, stdout: `${run}: cancelled\n` });
    const handle = bench.link.client.workflow.getHandle(run);
    expect(await sealedResult(handle, WORKFLOWS.run)).toMatchObject({ verdict: 'cancelled' });
    const { notes } = await handle.query<RunReport>(QUERIES.report);
    expect(notes).toContain('releasing the machine was broken off: the end was forced');
    // It is cleared when the first host is there again.
    await bench.worker();
    expect(await bench.verdictOf(run)).toMatchObject({ verdict: 'cancelled', state: 'done' });
    await bench.expectNothingLeft();
  });
});

/** What stands in events.ndjson, without the times. */
async function recordedEvents(artifact: string): Promise<StreamEvent[]> {
  const text = await readFile(path.join(path.dirname(artifact), 'events.ndjson'), 'utf8');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const { at, ...event } = JSON.parse(line) as RecordedEvent;
      expect(at).toBeGreaterThan(0);
      return event;
    });
}

/** What a parser that sees the whole log at once makes of it. */
function parsedEvents(log: Buffer): StreamEvent[] {
  const parser = createStreamParser();
  return [...parser.push(log), ...parser.end()];
}
