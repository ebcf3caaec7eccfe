import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { putText, type GuestShell } from '../../../src/activities/heal/guest-shell.js';
import { planChanges } from '../../../src/activities/heal/tree-edits.js';
import { inActivity } from '../../../src/activities/step/temporal.js';
import type { Profile } from '../../../src/domain/profile.js';
import { startInstaller } from '../../../src/installers/installer.js';
import type { Connection, ExecResult, Machine } from '../../../src/machines/machine.js';
import { faultOf } from '../../../src/workflows/steps.js';

const shellThat = (...results: readonly Partial<ExecResult>[]) => {
  const left = [...results];
  const exec = async () => ({ exitCode: 0, stdout: '', stderr: '', ...(left.shift() ?? {}) });
  return { way: 'ssh', exec } as GuestShell;
};

test('a file of a heal is refused where it is too large for a command, and where the machine does not take it', async () => {
  await expect(putText(shellThat(), '/f', 'x'.repeat(90 * 1024 + 1))).rejects.toMatchObject({
    code: 'MACHINE_WRITE_FAILED',
    message: '/f is too large for a heal: 92161 bytes',
  });
  await expect(putText(shellThat({ exitCode: 1, stderr: 'read-only\n' }), '/f', 'x')).rejects.toMatchObject({
    code: 'MACHINE_WRITE_FAILED',
    message: 'cannot write /f in the machine: read-only',
  });
  await putText(shellThat(), '/f', 'x'.repeat(90 * 1024));
});

test('a file of the tree that cannot be read is no file that is not there', async () => {
  const edits = [{ kind: 'write', path: 'f', content: 'new' }] as const;
  expect(await planChanges(shellThat({ exitCode: 3 }), '/tree', edits)).toEqual([
    { path: 'f', before: undefined, after: 'new' },
  ]);
  await expect(planChanges(shellThat({ exitCode: 1 }), '/tree', edits)).rejects.toMatchObject({
    code: 'MACHINE_READ_FAILED',
    message: 'cannot read /tree/f in the machine',
  });
});

test.each([
  ['MACHINE_WRITE_FAILED', [{ exitCode: 1, stderr: 'no room\n' }]],
  ['MACHINE_START_FAILED', [{}, { exitCode: 1, stderr: 'it did not begin\n' }]],
])('an installer that does not begin: %s', async (code, results) => {
  const machine = {
    info: { driver: 'sandbox' },
    resolvePath: (file: string) => file,
    endpoint: async () => ({ host: '127.0.0.1', port: 1, hostKey: 'k' }),
    disks: [],
  } as unknown as Machine;
  const profile = {
    machine: { firmware: 'bios' },
    deploy: { to: '/config' },
    install: { kind: 'script', run: 'true', env: {} },
  } as unknown as Profile;
  const start = { attempt: 1, barrier: false, target: machine };
  const connection = shellThat(...results) as unknown as Connection;
  await expect(startInstaller(machine, connection, profile, start)).rejects.toMatchObject({ code });
});

test('an error that has no code has one when it leaves a step, and keeps its words', async () => {
  const failing = () => inActivity(() => Promise.reject(new TypeError('x is not a function')));
  await expect(new MockActivityEnvironment().run(failing)).rejects.toMatchObject({
    type: 'INTERNAL_UNEXPECTED',
    message: 'x is not a function',
    nonRetryable: false,
  });
});

test('a report has a code for every error', () => {
  expect(faultOf(new Error('odd'))).toEqual({ code: 'INTERNAL_UNKNOWN', message: 'odd' });
  expect(faultOf('odd')).toEqual({ code: 'INTERNAL_UNKNOWN', message: 'odd' });
  expect(faultOf(ApplicationFailure.create({ message: 'odd' }))).toMatchObject({ code: 'INTERNAL_UNKNOWN' });
  const known = ApplicationFailure.create({ type: 'HOST_X', message: 'm', details: [{ hint: 'do' }] });
  expect(faultOf(known)).toEqual({ code: 'HOST_X', message: 'm', hint: 'do' });
});
