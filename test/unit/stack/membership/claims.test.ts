import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import { writeJson } from '../../../../src/host/files.js';
import { layoutOf } from '../../../../src/host/paths.js';
import { isNeeded, takeClaim } from '../../../../src/stack/membership/claims.js';
import { stackFiles, type StackFiles } from '../../../../src/stack/stack-files.js';
import { temporaryFolder } from '../../programs.js';

let files: StackFiles;
beforeEach(async () => {
  files = stackFiles(layoutOf(await temporaryFolder()));
});

const GONE = { pid: 2 ** 22 + 1, startedAt: '0' };
const leases = () => readdir(files.leases).catch(() => []);
/** Whether the stack is needed while these suites run. */
const needed = (...running: readonly string[]) => isNeeded(files, async (suite) => running.includes(suite));
const leave = (name: string, suites: readonly string[], released = false) =>
  writeJson(path.join(files.leases, name), { owner: GONE, suites, released });

test('nobody needs a stack without leases', async () => {
  expect(await needed()).toBe(false);
});

test('a process needs the stack until it gives its lease up, and leaves nothing behind', async () => {
  const lease = await takeClaim(files);
  expect(await needed()).toBe(true);
  expect(await leases()).toHaveLength(1);
  await lease.release();
  expect(await leases()).toEqual([]);
  await lease.release();
  expect(await needed()).toBe(false);
});

test('two leases of one process are two', async () => {
  const [first, second] = [await takeClaim(files), await takeClaim(files)];
  await first.release();
  expect(await needed()).toBe(true);
  await second.release();
  expect(await needed()).toBe(false);
});

test('a suite holds the stack after its process has given its lease up, until it has ended', async () => {
  const lease = await takeClaim(files);
  // Not waited for: the last state is what counts.
  void lease.holdFor('one');
  void lease.holdFor('two');
  await lease.release();
  expect([await needed('one'), await needed('two'), await needed('three')]).toEqual([true, true, false]);
  expect(await leases()).toEqual([]);
});

test('the lease of a process that died is removed, unless a suite of its runs', async () => {
  await leave('1.json', []);
  await leave('2.json', ['one']);
  expect(await needed('one')).toBe(true);
  expect(await leases()).toEqual(['2.json']);
  expect(await needed()).toBe(false);
  expect(await leases()).toEqual([]);
});

test('a lease that was given up counts for its suites only, whoever lives', async () => {
  const lease = await takeClaim(files);
  await lease.holdFor('one');
  await lease.release();
  expect(await needed('other')).toBe(false);
});

test('a lease without suites, or one that vanished, holds nothing', async () => {
  await mkdir(files.leases, { recursive: true });
  await writeFile(path.join(files.leases, '1.json'), JSON.stringify({ owner: GONE, released: true }));
  await symlink('nowhere', path.join(files.leases, '2.json'));
  expect(await needed('any', 'undefined')).toBe(false);
});

test('what is no lease is passed over', async () => {
  const lease = await takeClaim(files);
  await lease.release();
  await writeFile(path.join(files.leases, '0.tmp'), '{');
  expect(await needed()).toBe(false);
  expect(await leases()).toEqual(['0.tmp']);
});
