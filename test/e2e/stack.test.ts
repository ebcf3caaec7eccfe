import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { readJson, writeJson } from '../../src/host/files.js';
import { lockOwner } from '../../src/host/lock.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { isAlive, processesWithEnvironment, signalIfThere, terminate, waitUntil } from '../../src/host/process.js';
import type { Work } from '../../src/domain/work.js';
import { findStack, joinStack, type StackUse } from '../../src/stack/membership/join.js';
import { takeClaim } from '../../src/stack/membership/claims.js';
import { sealingKey } from '../../src/temporal/key.js';
import { connectClient } from '../../src/client.js';
import { freePorts } from '../../src/stack/server/ports.js';
import type { StackRecord } from '../../src/stack/membership/record.js';
import type { LastStart } from '../../src/stack/server/server-process.js';
import { SERVER_MARK } from '../../src/stack/server/server-process.js';
import { stackFiles, type StackFiles } from '../../src/stack/stack-files.js';
import { programCommand, startProgram } from '../fixtures/programs/programs.js';

vi.setConfig({ testTimeout: 240_000 });
const DEADLINE_MS = 120_000;
const work: Work = { signal: new AbortController().signal, progress: () => undefined };
let layout: Layout;
let files: StackFiles;

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-stack-')));
  files = stackFiles(layout);
});
afterEach(async () => {
  const stack = await findStack(layout);
  if (stack) await terminate(stack.holder, 20_000);
  for (const left of await processesWithEnvironment('NIXPROOF_HOME', layout.home)) await terminate(left);
  for (const left of await processesWithEnvironment(SERVER_MARK, files.folder)) await terminate(left);
  await rm(layout.home, { recursive: true, force: true });
});

function join(): Promise<StackUse> {
  return joinStack({ layout, work, holderCommand: programCommand('stack-holder') });
}

async function running(): Promise<StackRecord> {
  const stack = await findStack(layout);
  if (!stack) throw new Error('no stack runs');
  return stack;
}

/** Waits until the record is another one that fits. */
async function changed(fits: (stack: StackRecord) => boolean): Promise<StackRecord> {
  let seen: StackRecord | undefined;
  const fitting = async () => {
    seen = await findStack(layout);
    return seen !== undefined && fits(seen);
  };
  expect(await waitUntil(fitting, DEADLINE_MS)).toBe(true);
  return running();
}

/** Nothing runs and nothing but the database, the logs and the memory of the last start is left. */
async function expectEnded({ holder, server, worker }: StackRecord): Promise<void> {
  expect(await waitUntil(async () => !(await isAlive(holder)), DEADLINE_MS)).toBe(true);
  expect(await isAlive(server)).toBe(false);
  expect(await isAlive(worker)).toBe(false);
  expect(await processesWithEnvironment(SERVER_MARK, files.folder)).toEqual([]);
  expect(await lockOwner(files.lock)).toBeUndefined();
  expect(await readdir(files.leases)).toEqual([]);
  const kept = /^(holder|server|worker)\.log$|^temporal\.db(-wal|-shm)?$|^last-start\.json$|^leases$/;
  expect((await readdir(files.folder)).filter((name) => !kept.test(name))).toEqual([]);
}

async function startSuite(address: string, suite: string): Promise<void> {
  const link = await connectClient({ address }, await sealingKey(layout));
  await link.client.workflow.start('nobodyRunsThis', { taskQueue: 'nobody-polls-this', workflowId: suite, args: [] });
  await link[Symbol.asyncDispose]();
}

async function suiteStatus(address: string, suite: string): Promise<string> {
  const link = await connectClient({ address }, await sealingKey(layout));
  const { status } = await link.client.workflow.getHandle(suite).describe();
  await link[Symbol.asyncDispose]();
  return status.name;
}

async function endSuite(address: string, suite: string): Promise<void> {
  const link = await connectClient({ address }, await sealingKey(layout));
  await link.client.workflow.getHandle(suite).terminate();
  await link[Symbol.asyncDispose]();
}

describe('one stack', () => {
  test('is shared by those who join at the same moment, and ends when the last one leaves', async () => {
    const joiners = [
      startProgram('stack-joiner', [], { NIXPROOF_HOME: layout.home }),
      startProgram('stack-joiner', [], { NIXPROOF_HOME: layout.home }),
    ];
    const [first, second] = await Promise.all(joiners.map((joiner) => joiner.line()));
    expect(first).toBe(second);
    const stack = await running();
    expect(await processesWithEnvironment(SERVER_MARK, files.folder)).toEqual([stack.server]);
    expect(await isAlive(stack.worker)).toBe(true);
    expect((await fetch(stack.uiUrl)).status).toBe(200);
    const { ports } = (await readJson<LastStart>(files.last)) as LastStart;
    expect((await fetch(`http://127.0.0.1:${ports.http}/api/v1/namespaces`)).status).toBe(403);

    joiners[0]?.process.stdin.end();
    expect(await joiners[0]?.ended).toBe(0);
    const third = await join();
    expect(third.started).toBe(false);
    joiners[1]?.process.stdin.end();
    expect(await joiners[1]?.ended).toBe(0);
    expect(await running()).toEqual(stack);
    await third[Symbol.asyncDispose]();
    await expectEnded(stack);
    expect(await readFile(files.workerLog, 'utf8')).toContain('worker ends: SIGTERM');
  });

  test('is there again, with its runs and at its address, when it is started another time', async () => {
    const first = await join();
    await startSuite(first.address, 'suite-of-yesterday');
    const { address } = first;
    const stack = await running();
    await first[Symbol.asyncDispose]();
    await expectEnded(stack);
    const second = await join();
    expect(second.started).toBe(true);
    expect(second.address).toBe(address);
    expect(await suiteStatus(second.address, 'suite-of-yesterday')).toBe('RUNNING');
    await second[Symbol.asyncDispose]();
  });
});

describe('kill -9', () => {
  test('of a command: its suite goes on, and the stack ends after the suite', async () => {
    const joiner = startProgram('stack-joiner', ['suite-1'], { NIXPROOF_HOME: layout.home });
    const address = await joiner.line();
    await startSuite(address, 'suite-1');
    const stack = await running();
    joiner.process.kill('SIGKILL');
    await joiner.ended;
    // Much longer than the grace after which an unneeded stack ends, beginning with its worker.
    expect(await waitUntil(async () => !(await isAlive(stack.holder)), 10_000)).toBe(false);
    expect(await isAlive(stack.worker)).toBe(true);
    expect(await readdir(files.leases)).toHaveLength(1);
    await endSuite(address, 'suite-1');
    await expectEnded(stack);
  });

  test('of the holder: a command that uses the stack brings it back where it was', async () => {
    const lease = await join();
    await startSuite(lease.address, 'suite-1');
    const before = await running();
    signalIfThere(before.holder.pid, 'SIGKILL');
    const after = await changed((stack) => stack.holder.pid !== before.holder.pid);
    expect(await isAlive(before.server)).toBe(false);
    expect(await isAlive(before.worker)).toBe(false);
    expect(await processesWithEnvironment(SERVER_MARK, files.folder)).toEqual([after.server]);
    expect(after.address).toBe(before.address);
    expect(await suiteStatus(lease.address, 'suite-1')).toBe('RUNNING');
    expect(await readFile(files.workerLog, 'utf8')).toContain('worker ends: parent is gone');
    await lease[Symbol.asyncDispose]();
    await expectEnded(after);
  });

  test('of command and holder: the next command cleans up and finds the runs', async () => {
    const joiner = startProgram('stack-joiner', [], { NIXPROOF_HOME: layout.home });
    await startSuite(await joiner.line(), 'suite-1');
    const before = await running();
    joiner.process.kill('SIGKILL');
    await joiner.ended;
    signalIfThere(before.holder.pid, 'SIGKILL');
    expect(await waitUntil(async () => (await findStack(layout)) === undefined, DEADLINE_MS)).toBe(true);
    expect(await isAlive(before.server)).toBe(true);
    const lease = await join();
    expect(await isAlive(before.server)).toBe(false);
    expect(await suiteStatus(lease.address, 'suite-1')).toBe('RUNNING');
    const after = await running();
    await lease[Symbol.asyncDispose]();
    await expectEnded(after);
  });

  test('of the server and of the worker: both come back, at the same address', async () => {
    const lease = await join();
    await startSuite(lease.address, 'suite-1');
    const before = await running();
    signalIfThere(before.server.pid, 'SIGKILL');
    signalIfThere(before.worker.pid, 'SIGKILL');
    const after = await changed(
      (stack) => stack.server.pid !== before.server.pid && stack.worker.pid !== before.worker.pid,
    );
    expect(after).toMatchObject({ holder: before.holder, address: before.address });
    const answers = () =>
      suiteStatus(after.address, 'suite-1').then(
        (status) => status === 'RUNNING',
        () => false,
      );
    expect(await waitUntil(answers, DEADLINE_MS)).toBe(true);
    await lease[Symbol.asyncDispose]();
    await expectEnded(after);
  });
});

describe('trouble at the start', () => {
  test('a port of the last start that is taken: others are used', async () => {
    const ports = await freePorts();
    const thief = createServer().listen(ports.grpc, '127.0.0.1');
    await mkdir(files.folder, { recursive: true });
    await writeJson(files.last, { ports, uiPort: ports.grpc, version: 'any', key: '' } satisfies LastStart);
    const lease = await join();
    expect(lease.address).not.toBe(`127.0.0.1:${ports.grpc}`);
    expect((await fetch((await running()).uiUrl)).status).toBe(200);
    thief.close();
    await lease[Symbol.asyncDispose]();
  });

  test('a database that cannot be opened: says so, with what to do, and leaves nothing behind', async () => {
    await mkdir(files.folder, { recursive: true });
    await writeJson(files.last, { ports: await freePorts(), uiPort: 0, version: '9.9.9 (Server 9.9.9)' });
    await writeFile(files.database, 'no database at all, but long enough to be looked at '.repeat(20));
    const failure = await join().then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({ code: 'SERVER_DATABASE_UNUSABLE' });
    expect((failure as Error).message).toContain('file is not a database');
    expect((failure as Error).message).toContain('Temporal 9.9.9 (Server 9.9.9) wrote it');
    expect((failure as { hint: string }).hint).toContain(files.database);
    expect(await waitUntil(async () => (await lockOwner(files.lock)) === undefined, DEADLINE_MS)).toBe(true);
    expect(await readdir(files.leases)).toEqual([]);
    expect(await processesWithEnvironment(SERVER_MARK, files.folder)).toEqual([]);
  });

  test('a database of a first start that was killed: made anew', async () => {
    await mkdir(files.folder, { recursive: true });
    await writeFile(files.database, 'half of a database that no server was ever ready on '.repeat(20));
    const lease = await join();
    await startSuite(lease.address, 'suite-1');
    await endSuite(lease.address, 'suite-1');
    await lease[Symbol.asyncDispose]();
  });

  test('a holder that dies without a word: its log is in the error', async () => {
    const holderCommand = [process.execPath, '-e', 'console.error("no such luck"); process.exit(7)'];
    await expect(joinStack({ layout, work, holderCommand })).rejects.toMatchObject({
      code: 'SERVER_START_FAILED',
      message: expect.stringContaining('no such luck') as string,
    });
    expect(await readdir(files.leases)).toEqual([]);
  });
});

describe('in the foreground', () => {
  test('SIGTERM ends everything in order, whoever uses it; a second one takes over', async () => {
    const first = startProgram('stack-holder', ['up'], { NIXPROOF_HOME: layout.home });
    expect(await first.line()).toMatch(/^ours 127\.0\.0\.1:\d+$/);
    const before = await running();
    const second = startProgram('stack-holder', ['up'], { NIXPROOF_HOME: layout.home });
    expect(await second.line()).toBe(`another ${before.address}`);
    first.process.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    expect(await isAlive(before.server)).toBe(false);
    expect(await second.line()).toBe(`ours ${before.address}`);
    const after = await running();
    expect(after.holder.pid).toBe(second.pid);
    second.process.kill('SIGINT');
    expect(await second.ended).toBe(0);
    await expectEnded(after);
  });

  test('ends although a lease is held', async () => {
    const lease = await takeClaim(files);
    const holder = startProgram('stack-holder', [], { NIXPROOF_HOME: layout.home });
    const before = await changed((stack) => stack.holder.pid === holder.pid);
    holder.process.kill('SIGTERM');
    expect(await holder.ended).toBe(0);
    await lease.release();
    await expectEnded(before);
    expect(await readJson(files.record)).toBeUndefined();
  });
});
