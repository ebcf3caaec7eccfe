import { expect, test } from 'vitest';
import { bootInstalled } from '../../../../src/activities/boot/boot-installed.js';
import { NixproofError } from '../../../../src/domain/error.js';
import type { Machine, Work } from '../../../../src/machines/machine.js';

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const machine = (restartInstalled: Machine['restartInstalled']) => ({ restartInstalled }) as Machine;

const CONSOLES: readonly (readonly [string, readonly string[], string])[] = [
  [
    'disk.not-found',
    [
      '[    2.1] VFS: Cannot open root device "LABEL=nixos" or unknown-block(0,0): error -6',
      '[    2.3] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)',
      ...Array.from({ length: 30 }, (_, i) => `[    2.4]  ? frame_${i}+0x1/0x2`),
    ],
    'VFS: Cannot open root device "LABEL=nixos" or unknown-block(0,0): error -6',
  ],
  [
    'bootloader',
    ['BdsDxe: No bootable option or device was found.'],
    'BdsDxe: No bootable option or device was found.',
  ],
];

test.each(CONSOLES)('a console that says %s', async (failureClass, console, line) => {
  const never = new NixproofError('MACHINE_NEVER_BOOTED', 'it never answered', { details: { console } });
  const outcome = await bootInstalled(
    machine(() => Promise.reject(never)),
    work,
    undefined,
  );
  expect(outcome).toMatchObject({ booted: false, line: console.at(-1) });
  const [best] = outcome.booted ? [] : outcome.diagnoses;
  expect([best?.class, best?.evidence[0]]).toEqual([failureClass, line]);
});

test('a console that says nothing that is known', async () => {
  const details = { console: ['Welcome to the system!', 'login:'] };
  const never = new NixproofError('MACHINE_NEVER_BOOTED', 'it never answered', { details });
  expect(
    await bootInstalled(
      machine(() => Promise.reject(never)),
      work,
      undefined,
    ),
  ).toEqual({
    booted: false,
    line: 'login:',
    reason: 'it never answered',
    diagnoses: [],
  });
});

test('the limit is the machine’s to keep; another fault is no outcome', async () => {
  const asked: unknown[] = [];
  const machineOf = machine(async (_, deadlineMs) => void asked.push(deadlineMs));
  expect(await bootInstalled(machineOf, work, 5000)).toEqual({ booted: true });
  expect(asked).toEqual([5000]);
  const gone = new NixproofError('MACHINE_GONE', 'gone');
  await expect(
    bootInstalled(
      machine(() => Promise.reject(gone)),
      work,
      undefined,
    ),
  ).rejects.toBe(gone);
});
