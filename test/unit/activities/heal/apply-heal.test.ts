import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { applyHeal, changesOf, undoHeal } from '../../../../src/activities/heal/apply-heal.js';
import type { HealApplication, HealPlan } from '../../../../src/domain/heal.js';
import type { Profile } from '../../../../src/domain/profile.js';
import type { RunRequest } from '../../../../src/domain/run.js';
import { layoutOf } from '../../../../src/host/paths.js';
import { identify } from '../../../../src/host/process.js';
import { startInstaller } from '../../../../src/installers/installer.js';
import type { Machine, Work } from '../../../../src/machines/machine.js';
import { createSandboxDriver } from '../../../../src/machines/sandbox/driver.js';
import { runFiles } from '../../../../src/records/artifacts.js';

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const shape = { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'uefi' } as const;
const profile: Profile = {
  name: 'vm',
  machine: shape,
  deploy: { from: '/nowhere', to: '/srv/tree', exclude: [] },
  install: { kind: 'script', run: 'true', env: {}, timeoutMs: 1000, stallMs: 1000, reboot: false },
  checks: [],
  healing: { policy: 'auto', threshold: 0.6, max: 3, askMs: 0, heals: [] },
};
const request = { run: 'heals', profile } as RunRequest;

describe('a heal on a machine', () => {
  let home: string;
  let machine: Machine;
  const filesOf = (heal: number) => runFiles(home, request.run).heal(heal);
  const inTree = (file: string) => path.join(machine.resolvePath('/srv/tree'), file);
  const read = (file: string) => readFile(file, 'utf8');
  const shell = async (script: string) => (await machine.connect(work)).exec(['sh', '-c', script]);
  const apply = (application: HealApplication, as = work) => applyHeal(machine, request, application, filesOf, as);
  /** Begins a heal that never ends by itself; resolves when it is at it and waited for. */
  const begin = async (number: number, signal = work.signal) => {
    const endless = application(number, { commands: ['sleep 600 & echo $! >"$NIXPROOF_ROOT/sleeps"; wait'] });
    let said = '';
    const applied = apply(endless, { signal, progress: (message) => (said = message) });
    applied.catch(() => undefined);
    await vi.waitFor(() => expect(said).toBe('the heal’s commands run'), 10_000);
    const file = machine.resolvePath('/sleeps');
    const pid = await vi.waitFor(
      async () => /^\d+(?=\n)/.exec(await read(file))?.[0] ?? Promise.reject(new Error(file)),
      10_000,
    );
    await rm(file);
    return { endless, applied, isAlive: async () => (await identify(Number(pid))) !== undefined };
  };

  const application = (
    number: number,
    plan: Partial<HealPlan>,
    more: Partial<HealApplication> = {},
  ): HealApplication => ({
    number,
    plan: { commands: [], undo: [], edits: [], resume: 'rerun', ...plan },
    attempt: { number: 1, guest: 1, replayedPhases: 0, heals: [] },
    guest: 1,
    again: [],
    rerun: true,
    ...more,
  });

  beforeAll(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'nixproof-apply-'));
    machine = await createSandboxDriver({ layout: layoutOf(home) }).create(
      { id: 'heals', base: undefined, shape },
      work,
    );
    await shell(
      'mkdir -p "$NIXPROOF_ROOT/srv/tree/a folder" && cd "$NIXPROOF_ROOT/srv/tree" && printf "disk=/dev/sda" >"a folder/disk.sh" && chmod 755 "a folder/disk.sh"',
    );
    await startInstaller(machine, await machine.connect(work), profile, {
      attempt: 1,
      barrier: false,
      target: machine,
    });
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
    await createSandboxDriver({ layout: layoutOf(home) }).destroy('heals', work);
    await rm(home, { recursive: true, force: true });
  });

  const FIRST = {
    edits: [
      { kind: 'replace', find: '/dev/sda', put: '/dev/vdb' },
      { kind: 'write', path: 'new/file', content: 'new\n' },
    ],
    commands: ['echo "did $NIXPROOF_HEAL in $PWD" >>"$NIXPROOF_ROOT/done"', 'echo said; [ -d "$NIXPROOF_TREE" ]'],
    undo: ['echo "undid $NIXPROOF_HEAL" >>"$NIXPROOF_ROOT/done"'],
  } as const;

  test('asked for again after a crash it changes the tree as before and runs its commands once', async () => {
    const first = application(1, FIRST);
    const applied = { ok: true, said: 'said', files: 2 };
    expect(await apply(first)).toEqual(applied);
    expect(await apply(first)).toEqual(applied);
    expect(await read(machine.resolvePath('/done'))).toBe(`did 1 in ${machine.resolvePath('/srv/tree')}\n`);
    expect(await read(inTree('a folder/disk.sh'))).toBe('disk=/dev/vdb');
    expect((await shell('[ -x "$NIXPROOF_ROOT/srv/tree/a folder/disk.sh" ]')).exitCode).toBe(0);
    expect(await changesOf(filesOf(1))).toEqual([
      { path: 'a folder/disk.sh', before: 'disk=/dev/sda', after: 'disk=/dev/vdb' },
      { path: 'new/file', before: undefined, after: 'new\n' },
    ]);
    expect(await read(filesOf(1).log)).toBe('said\n');
  });

  test('a command that fails ends it, and says why', async () => {
    const failing = application(2, { commands: ['echo no such luck >&2; exit 7', 'touch "$NIXPROOF_ROOT/never"'] });
    expect(await apply(failing)).toEqual({ ok: false, said: 'no such luck', files: 0 });
    expect((await shell('[ -e "$NIXPROOF_ROOT/never" ]')).exitCode).toBe(1);
  });

  test('one that takes too long is killed, with all it started', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    onTestFinished(() => void vi.useRealTimers());
    const { endless, applied, isAlive } = await begin(4);
    vi.advanceTimersByTime(15 * 60_000);
    expect(await applied).toEqual({ ok: false, said: '', files: 0 });
    await vi.waitFor(async () => expect(await isAlive()).toBe(false));
    expect(await apply(endless)).toEqual({ ok: false, said: '', files: 0 });
  });

  test('one that is cancelled is killed; where only a worker ends, the next goes on with it', async () => {
    const ended = async (number: number, reason: string) => {
      const stop = new AbortController();
      const begun = await begin(number, stop.signal);
      stop.abort(new CancelledFailure(reason));
      await expect(begun.applied).rejects.toThrow(reason);
      return begun;
    };
    const cancelled = await ended(5, 'CANCELLED');
    await vi.waitFor(async () => expect(await cancelled.isAlive()).toBe(false));
    const handedOver = await ended(6, 'WORKER_SHUTDOWN');
    expect(await handedOver.isAlive()).toBe(true);
    const stop = new AbortController();
    const next = apply(handedOver.endless, { ...work, signal: stop.signal });
    stop.abort(new CancelledFailure('CANCELLED'));
    await expect(next).rejects.toThrow('CANCELLED');
    await vi.waitFor(async () => expect(await handedOver.isAlive()).toBe(false));
  });

  test('taken back, once however often, the tree is as it was', async () => {
    await undoHeal(machine, request, application(1, FIRST), filesOf(1), work);
    await undoHeal(machine, request, application(1, FIRST), filesOf(1), work);
    expect(await read(machine.resolvePath('/done'))).toMatch(/^did 1 in .*\nundid 1\n$/);
    expect(await read(inTree('a folder/disk.sh'))).toBe('disk=/dev/sda');
    await expect(read(inTree('new/file'))).rejects.toThrow('ENOENT');
  });

  test('one that worked is applied again first on a machine that went back to before it', async () => {
    await shell('rm -r "$NIXPROOF_ROOT/var/lib/nixproof/heal-1" "$NIXPROOF_ROOT/done"');
    const { plan } = application(1, FIRST);
    const next = application(
      3,
      { commands: ['echo "then $NIXPROOF_HEAL" >>"$NIXPROOF_ROOT/done"'] },
      { again: [{ number: 1, plan }] },
    );
    expect(await apply(next)).toEqual({ ok: true, said: '', files: 0 });
    expect(await read(machine.resolvePath('/done'))).toMatch(/^did 1 in .*\nthen 3\n$/);
    expect(await read(inTree('a folder/disk.sh'))).toBe('disk=/dev/vdb');
    expect(await read(inTree('new/file'))).toBe('new\n');
  });
});
