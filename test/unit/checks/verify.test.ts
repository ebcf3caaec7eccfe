import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { verify } from '../../../src/checks/verify.js';
import { NixproofError } from '../../../src/domain/error.js';
import type { Work } from '../../../src/domain/work.js';
import { layoutOf } from '../../../src/host/paths.js';
import type { Connection, Machine } from '../../../src/machines/machine.js';
import { createSandboxDriver } from '../../../src/machines/sandbox/driver.js';

const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };
const CHECK = { kind: 'run', name: 'there', run: 'echo there', expect: 'there' } as const;

/** A sandbox whose way in is `connect`, which is given the real one and how often it was asked before. */
async function sandbox(connect: (real: () => Promise<Connection>, before: number) => Promise<Connection>) {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-verify-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  const driver = createSandboxDriver({ layout: layoutOf(home) });
  const shape = { memoryMiB: 256, cpus: 1, diskBytes: [], firmware: 'bios' } as const;
  const machine = await driver.create({ id: 'checked', base: undefined, shape }, WORK);
  onTestFinished(async () => {
    await machine[Symbol.asyncDispose]();
    await driver.destroy('checked', WORK);
  });
  let asked = 0;
  const guarded: Machine = { ...machine, connect: (work) => connect(() => machine.connect(work), asked++) };
  return { machine: guarded, asked: () => asked };
}

test('a check whose connection is lost is run again on a new one', async () => {
  const { machine, asked } = await sandbox(async (real, before) => {
    const connection = await real();
    if (before === 0) await connection[Symbol.asyncDispose]();
    return connection;
  });
  expect(await verify(machine, [CHECK], WORK)).toMatchObject([{ status: 'pass', detail: 'there' }]);
  expect(asked()).toBe(2);
});

test('a way in that never answers is red, and is waited for once', async () => {
  const { machine, asked } = await sandbox(() =>
    Promise.reject(new NixproofError('TRANSPORT_TIMEOUT', 'no SSH connection: it is silent')),
  );
  const results = await verify(machine, [CHECK, { ...CHECK, name: 'again' }], WORK, { loginRetryMs: 1 });
  expect(results).toMatchObject([
    { status: 'fail', detail: 'no SSH connection: it is silent' },
    { status: 'fail', detail: 'no SSH connection: it is silent' },
  ]);
  // The one try more that any time allows.
  expect(asked()).toBe(3);
});

test('a check that always loses its connection is red', async () => {
  const { machine, asked } = await sandbox(async (real) => {
    const connection = await real();
    await connection[Symbol.asyncDispose]();
    return connection;
  });
  const [result] = await verify(machine, [CHECK], WORK);
  expect(result).toMatchObject({ status: 'fail', detail: expect.stringMatching(/ was lost$/) as string });
  expect(asked()).toBe(3);
});

test('what the system answers is not asked again', async () => {
  const { machine, asked } = await sandbox((real) => real());
  const [result] = await verify(machine, [{ ...CHECK, run: 'echo gone; exit 3' }], WORK);
  expect([result?.status, asked()]).toEqual(['fail', 1]);
});
