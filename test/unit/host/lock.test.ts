import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { acquireLock, lockOwner, tryLock, withLock } from '../../../src/host/lock.js';
import { startProgram } from '../../fixtures/programs/programs.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-lock-'));
  file = path.join(folder, 'some.lock');
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

async function leaveDeadOwner(): Promise<void> {
  const owner = startProgram('lock-owner', [file]);
  await owner.line();
  owner.process.kill('SIGKILL');
  await owner.ended;
}

describe('tryLock', () => {
  test('is acquired once and free again after release', async () => {
    const first = await tryLock(file);
    expect(first.status).toBe('acquired');
    expect(await tryLock(file)).toMatchObject({ status: 'held', owner: { pid: process.pid } });
    expect(await lockOwner(file)).toMatchObject({ pid: process.pid });
    if (first.status === 'acquired') await first.lock.release();
    expect(await readdir(folder)).toEqual([]);
    expect(await lockOwner(file)).toBeUndefined();
  });

  test('takes the place of an owner that was killed', async () => {
    await leaveDeadOwner();
    expect(await readdir(folder)).toEqual(['some.lock']);
    expect(await lockOwner(file)).toBeUndefined();
    expect((await tryLock(file)).status).toBe('acquired');
    expect(await lockOwner(file)).toMatchObject({ pid: process.pid });
  });

  test('takes the place of something that is no lock', async () => {
    await writeFile(file, 'not a lock');
    expect((await tryLock(file)).status).toBe('acquired');
  });

  test('cleans up after one that died while it removed a dead owner', async () => {
    await leaveDeadOwner();
    const remover = startProgram('lock-owner', [`${file}.stale`]);
    await remover.line();
    remover.process.kill('SIGKILL');
    await remover.ended;
    const attempt = await tryLock(file);
    expect(attempt.status).toBe('acquired');
    expect(await readdir(folder)).toEqual(['some.lock']);
  });
});

describe('release', () => {
  test('leaves a lock alone that is not its own any more', async () => {
    const mine = await acquireLock(file);
    await rm(file);
    const other = await acquireLock(file);
    await mine.release();
    expect((await tryLock(file)).status).toBe('held');
    await other.release();
  });
});

describe('withLock', () => {
  test('releases when its work throws', async () => {
    await expect(withLock(file, {}, () => Promise.reject(new Error('work')))).rejects.toThrow('work');
    expect(await lockOwner(file)).toBeUndefined();
  });

  test('tells whom it waits for, and stops waiting when told', async () => {
    const owner = startProgram('lock-owner', [file]);
    await owner.line();
    const abort = new AbortController();
    const pids: number[] = [];
    const onWait = (holder: { pid: number }) => {
      pids.push(holder.pid);
      abort.abort(new Error('enough'));
    };
    await expect(withLock(file, { signal: abort.signal, onWait }, () => Promise.resolve())).rejects.toThrow('enough');
    expect(pids).toEqual([owner.pid]);
    owner.process.kill('SIGKILL');
    await owner.ended;
  });

  test('lets one of twenty processes in at a time, all of them after a dead owner', async () => {
    const counter = path.join(folder, 'counter');
    await writeFile(counter, '0');
    await leaveDeadOwner();
    const programs = Array.from({ length: 20 }, () => startProgram('lock-counter', [file, counter, '5']));
    expect(await Promise.all(programs.map((program) => program.ended))).toEqual(programs.map(() => 0));
    expect(await readFile(counter, 'utf8')).toBe('100');
    expect(await readdir(folder)).toEqual(['counter']);
  });
});
