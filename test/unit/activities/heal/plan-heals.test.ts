import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { planHeals } from '../../../../src/activities/heal/plan-heals.js';
import type { Profile } from '../../../../src/domain/profile.js';
import type { RunRequest } from '../../../../src/domain/run.js';
import { CATALOGUE } from '../../../../src/healing/catalogue/index.js';
import { layoutOf } from '../../../../src/host/paths.js';
import type { Machine, Work } from '../../../../src/machines/machine.js';
import { createSandboxDriver } from '../../../../src/machines/sandbox/driver.js';
import { runFiles } from '../../../../src/records/artifacts.js';
import { diagnosesOf } from '../../diagnosis/reading.js';

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const shape = { memoryMiB: 64, cpus: 1, diskBytes: [1 << 20], firmware: 'uefi' } as const;
const profile: Profile = {
  name: 'box',
  machine: shape,
  deploy: { from: '/nowhere', to: '/srv/tree', exclude: [] },
  install: { kind: 'script', run: 'true', env: {}, timeoutMs: 1000, stallMs: 1000, reboot: false },
  checks: [],
  healing: { policy: 'auto', threshold: 0.6, max: 3, askMs: 0, heals: [] },
};
const request = { run: 'box', profile } as RunRequest;

let home = '';
let machine: Machine;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'nixproof-plan-'));
  machine = await createSandboxDriver({ layout: layoutOf(home) }).create({ id: 'box', base: undefined, shape }, work);
});
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  await rm(home, { recursive: true });
});

/** Heals planned after a log, on a machine whose probes may have nothing to say. */
async function plannedFor(log: string, on: Machine): Promise<readonly string[]> {
  const attempt = { number: 1, guest: 1, replayedPhases: 0, heals: [] };
  const files = runFiles(home, request.run);
  const question = {
    machine: on,
    target: on,
    request,
    attempt,
    diagnoses: diagnosesOf(log),
    phase: '',
    tried: [],
    files,
    home,
    work,
  };
  return (await planHeals(question)).map(({ name }) => name);
}

function withOwnSystem(machine: Machine): Machine {
  return Object.fromEntries(Object.entries(machine).filter(([name]) => name !== 'sharesSystem')) as unknown as Machine;
}

test.each([
  ['curl: (60) SSL certificate problem: certificate is not yet valid', ['set-the-clock']],
  [
    "error: cannot connect to socket at '/nix/var/nix/daemon-socket/socket': Connection refused",
    ['restart-the-nix-daemon'],
  ],
  [
    'mke2fs: /dev/vdb1 is apparently in use by the system; will not make a filesystem here!',
    ['reread-partition-tables'],
  ],
  ['E: Failed to fetch http://deb.example.org/x.deb  Hash Sum mismatch', ['refresh-package-lists']],
])('a sandbox is offered no heal of the host, whether its probes answer or not: %s', async (log, harmful) => {
  const silent: Machine = { ...machine, isRunning: async () => false };
  for (const on of [machine, silent]) {
    const planned = await plannedFor(log, on);
    const scopes = planned.map((name) => CATALOGUE.find((heal) => heal.name === name)?.scope);
    expect(scopes.filter((scope) => scope !== 'files')).toEqual([]);
  }
  // The same evidence on a machine with a system of its own does have them.
  expect(await plannedFor(log, withOwnSystem(silent))).toEqual(expect.arrayContaining(harmful));
});
