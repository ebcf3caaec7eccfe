import { rm } from 'node:fs/promises';
import path from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { ExistingMachine } from '../../../../src/domain/profile.js';
import { readJson } from '../../../../src/host/files.js';
import { layoutOf, type Layout } from '../../../../src/host/paths.js';
import { machineFolder, writeRecord } from '../../../../src/machines/record.js';
import { holdsLease, leaseHost, releaseHost } from '../../../../src/machines/ssh/lease.js';
import { hostFiles } from '../../../../src/machines/ssh/record.js';
import { temporaryFolder } from '../../programs.js';

const host = (name: string, address: string) => ({ name, address, port: 22, user: 'root' }) as ExistingMachine;
const [A, B] = [host('a', '192.0.2.1'), host('b', '192.0.2.2')] as const;

let layout: Layout;
beforeEach(async () => {
  layout = layoutOf(await temporaryFolder());
});

const recordOf = (id: string, machine: ExistingMachine, driver = 'ssh') =>
  writeRecord(layout, { id, driver, host: machine } as never);

/** Asks for one of the machines, as the driver does it. */
function lease(owner: string, hosts: readonly ExistingMachine[] = [A, B]) {
  const told: string[] = [];
  const stop = new AbortController();
  const work = { signal: stop.signal, progress: (message: string) => told.push(message) };
  const leased = leaseHost(layout, owner, hosts, (machine) => recordOf(owner, machine), work);
  return { told, stop, leased };
}

describe('a lab machine', () => {
  test('is one run’s, and the next free one another’s', async () => {
    expect(await lease('one').leased).toBe(A);
    expect(await lease('two').leased).toBe(B);
    expect([await holdsLease(layout, 'one', A), await holdsLease(layout, 'two', A)]).toEqual([true, false]);
  });

  test('stays that of its run, which asks again, with the time it was taken', async () => {
    await lease('two', [B]).leased;
    expect(await lease('two').leased).toBe(B);
    const before = await readJson(hostFiles(layout, B).lease);
    await lease('two').leased;
    expect(await readJson(hostFiles(layout, B).lease)).toEqual(before);
    expect(before).toMatchObject({ owner: 'two', since: expect.stringMatching(/^\d{4}-.*Z$/) as string });
  });

  test('is waited for, with the names of those who have them, and had when one is given back', async () => {
    await lease('one').leased;
    await lease('two').leased;
    const { told, leased } = lease('three');
    await vi.waitFor(() => expect(told).toEqual(['waiting for a machine: a is with one, b is with two']), 10_000);
    await releaseHost(layout, 'one', A);
    expect(await leased).toBe(A);
    expect(told).toHaveLength(1);
  });

  test('is waited for until the run is cancelled', async () => {
    await lease('one', [A]).leased;
    const { told, leased, stop } = lease('two', [A]);
    await vi.waitFor(() => expect(told).toHaveLength(1), 10_000);
    stop.abort(new Error('no more'));
    await expect(leased).rejects.toThrow('no more');
    expect(await holdsLease(layout, 'two', A)).toBe(false);
  });

  test('is given back by its run only', async () => {
    await lease('one', [A]).leased;
    await releaseHost(layout, 'two', A);
    expect(await holdsLease(layout, 'one', A)).toBe(true);
    await releaseHost(layout, 'one', A);
    expect(await readJson(hostFiles(layout, A).lease)).toBeUndefined();
    await releaseHost(layout, 'one', A);
  });

  test('is free where its run has no record, one of another driver, or one of another machine', async () => {
    await lease('one', [A]).leased;
    await rm(machineFolder(layout, 'one'), { recursive: true });
    expect(await lease('two', [A]).leased).toBe(A);
    await recordOf('two', A, 'qemu');
    expect(await lease('three', [A]).leased).toBe(A);
    await recordOf('three', B);
    expect(await lease('four', [A]).leased).toBe(A);
  });

  test('is the same by another name or in other letters, and another on another port', async () => {
    const [x, y] = [host('x', 'LAB.example'), host('y', 'lab.example')];
    await lease('one', [x]).leased;
    expect(await holdsLease(layout, 'one', y)).toBe(true);
    expect(await holdsLease(layout, 'one', { ...y, port: 23 })).toBe(false);
    expect(path.basename(path.dirname(hostFiles(layout, x).lease))).toBe('lab.example:22');
  });
});
