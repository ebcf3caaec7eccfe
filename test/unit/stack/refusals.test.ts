import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ScheduleAlreadyRunning, ScheduleNotFoundError } from '@temporalio/client';
import { afterEach, expect, test, vi } from 'vitest';
import { requireSchedule } from '../../../src/cli/schedule/known.js';
import { startSuite, type ServerLink } from '../../../src/client.js';
import { validated } from '../../../src/config/units.js';
import { NixproofError } from '../../../src/domain/error.js';
import { ownIdentity } from '../../../src/host/lock.js';
import { layoutOf } from '../../../src/host/paths.js';
import { runCommand } from '../../../src/host/process.js';
import { createSchedule } from '../../../src/temporal/schedules.js';
import { readFailure, writeFailure } from '../../../src/stack/membership/record.js';
import { stackFiles } from '../../../src/stack/stack-files.js';
import { supervise } from '../../../src/stack/supervise/supervise.js';
import { runWorker } from '../../../src/worker.js';
import { temporaryFolder } from '../programs.js';

/** Pauses between two starts take no time. */
vi.mock(import('node:timers/promises'), async (original) => ({
  ...(await original()),
  setTimeout: <T>(_ms?: number, value?: T) => Promise.resolve(value as T),
}));
afterEach(() => vi.restoreAllMocks());

test('a command that fails says its last words', async () => {
  await expect(runCommand('sh', ['-c', 'echo no such luck >&2; exit 3'])).rejects.toMatchObject({
    code: 'HOST_COMMAND_FAILED',
    message: expect.stringContaining('no such luck') as string,
  });
});

test('a size that the schema did not look at is none', () => {
  expect(validated(3)).toBe(3);
  expect(() => validated(undefined)).toThrow(expect.objectContaining({ code: 'INTERNAL_UNVALIDATED' }) as Error);
});

test('a worker needs its workflows', async () => {
  const options = { layout: layoutOf('/nowhere'), server: { address: 'x' }, signal: new AbortController().signal };
  // Nothing is bundled beside the sources.
  await expect(runWorker(options as unknown as Parameters<typeof runWorker>[0])).rejects.toMatchObject({
    code: 'INTERNAL_BUNDLE_MISSING',
  });
});

test('why a holder gave up is known to who waits for it, and to no one who waits for another', async () => {
  const files = stackFiles(layoutOf(await temporaryFolder()));
  const holder = { pid: 7, startedAt: '1' };
  await writeFailure(files, holder, new TypeError('x is not a function'));
  expect(await readFailure(files, holder)).toMatchObject({ code: 'INTERNAL_STACK', message: 'x is not a function' });
  await writeFailure(files, holder, new NixproofError('HOST_X', 'm', { hint: 'h', details: { a: 1 } }));
  expect(await readFailure(files, holder)).toMatchObject({ code: 'HOST_X', hint: 'h', details: { a: 1 } });
  expect(await readFailure(files, { ...holder, startedAt: '2' })).toBeUndefined();
  expect(await readFailure(files, { ...holder, pid: 8 })).toBeUndefined();
});

test('a part of the stack that ends again and again is given up, with what it printed last', async () => {
  const log = path.join(await temporaryFolder(), 'server.log');
  await writeFile(log, 'old\nthe database is locked\n');
  let starts = 0;
  const dead = async () => {
    starts += 1;
    return { identity: { pid: 2 ** 22 + 1, startedAt: '0' }, ended: Promise.resolve('exit status 1'), logOffset: 4 };
  };
  await using supervised = supervise(await dead(), {
    name: 'server',
    log,
    graceMs: 1,
    start: dead,
    onReplaced: async () => undefined,
    progress: () => undefined,
  });
  await expect(supervised.gaveUp).rejects.toMatchObject({
    code: 'SERVER_STACK_DIED',
    message: expect.stringContaining('the database is locked') as string,
  });
  expect(starts).toBe(8);
});

const suite = { suite: 's', runs: [], profiles: [] } as unknown as Parameters<typeof startSuite>[1];

test('a server that does not take a suite', async () => {
  const start = () => Promise.reject(new Error('namespace is full'));
  const link = { client: { workflow: { start } }, searchAttributes: false } as unknown as ServerLink;
  await expect(startSuite(link, suite)).rejects.toMatchObject({
    code: 'SERVER_START_REFUSED',
    message: 'the server did not start the suite: namespace is full',
  });
});

test('a schedule’s name is taken once', async () => {
  const create = () => Promise.reject(new ScheduleAlreadyRunning('there', 'nightly'));
  const link = { client: { schedule: { create } } } as unknown as ServerLink;
  const timing = { everyMs: 1000, timezone: 'UTC', overlap: 'skip', catchupMs: 1 } as const;
  const scheduled = { schedule: 'nightly', notify: [] } as unknown as Parameters<typeof createSchedule>[2];
  await expect(createSchedule(link, timing, scheduled, false)).rejects.toMatchObject({
    code: 'CONFIG_SCHEDULE_EXISTS',
  });
});

test('a schedule that there is not: the nearest name is told', async () => {
  const describe = () => Promise.reject(new ScheduleNotFoundError('no', 'nigtly'));
  async function* list() {
    yield { scheduleId: 'nightly', action: { workflowType: 'scheduledSuite' } };
  }
  const schedule = { getHandle: () => ({ describe }), list };
  await expect(requireSchedule({ client: { schedule } } as unknown as ServerLink, 'nigtly')).rejects.toMatchObject({
    code: 'CONFIG_UNKNOWN_SCHEDULE',
    message: expect.stringContaining('"nigtly"') as string,
  });
});

test('a process that is not in the process table knows no identity of its own', async () => {
  expect((await ownIdentity()).pid).toBe(process.pid);
  vi.spyOn(process, 'pid', 'get').mockReturnValue(2 ** 22 + 1);
  await expect(ownIdentity()).rejects.toMatchObject({ code: 'INTERNAL_NO_IDENTITY' });
});
