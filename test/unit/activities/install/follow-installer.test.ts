import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { followInstaller, type Following } from '../../../../src/activities/install/follow-installer.js';
import { applyHeal } from '../../../../src/activities/heal/apply-heal.js';
import type { AttemptOutcome } from '../../../../src/domain/attempt.js';
import type { Installation, Profile } from '../../../../src/domain/profile.js';
import type { RunRequest } from '../../../../src/domain/run.js';
import { layoutOf } from '../../../../src/host/paths.js';
import { identify } from '../../../../src/host/process.js';
import { guestAttempt, startInstaller } from '../../../../src/installers/installer.js';
import type { Driver, Machine, Work } from '../../../../src/machines/machine.js';
import { createSandboxDriver } from '../../../../src/machines/sandbox/driver.js';
import { runFiles } from '../../../../src/records/artifacts.js';

const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };
const ID = 'followed';
const KIB = 1024;
const SHAPE = { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'bios' } as const;

let home: string;
let driver: Driver;
let machine: Machine;
let attempts = 0;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'nixproof-follow-'));
  driver = createSandboxDriver({ layout: layoutOf(home) });
  machine = await driver.create({ id: ID, base: undefined, shape: SHAPE }, WORK);
});
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  await driver.destroy(ID, WORK);
  await rm(home, { recursive: true, force: true });
});

const filesOf = (attempt: number) => runFiles(layoutOf(home).runs, ID).attempt(attempt);
const pidOf = async (name: string) =>
  Number(
    await vi.waitFor(async () => {
      const [pid] = /^\d+(?=\n)/.exec(await readFile(machine.resolvePath(name), 'utf8')) ?? [];
      if (pid === undefined) throw new Error(`${name} is half written`);
      return pid;
    }, 10_000),
  );
const isGone = async (name: string) => (await identify(await pidOf(name))) === undefined;

interface Limits {
  readonly stallMs?: number;
  readonly maxLogBytes?: number;
}

function profileOf(run: string, limits: Limits = {}): Profile {
  const install: Installation = {
    kind: 'script',
    run,
    env: {},
    timeoutMs: 600_000,
    stallMs: 600_000,
    reboot: false,
    ...limits,
  };
  const healing = { policy: 'auto', threshold: 0.6, max: 3, askMs: 0, heals: [] } as const;
  return { name: 'vm', machine: SHAPE, deploy: { from: home, to: '/', exclude: [] }, install, checks: [], healing };
}

/** Starts an installer in the machine. @returns how many were started before, and this one */
async function start(profile: Profile): Promise<number> {
  const attempt = (attempts += 1);
  await startInstaller(machine, await machine.connect(WORK), profile, { attempt, barrier: false, target: machine });
  return attempt;
}

function follow({ install }: Profile, number: number, more: Partial<Following> = {}): Promise<AttemptOutcome> {
  return followInstaller({
    machine,
    target: machine,
    attempt: { number, guest: number, replayedPhases: 0, heals: [] },
    install,
    files: filesOf(number),
    work: WORK,
    onBarrier: async () => undefined,
    onReleased: async () => undefined,
    successBaseline: async () => undefined,
    onProgress: () => undefined,
    ...more,
  });
}

async function install(run: string, limits?: Limits): Promise<AttemptOutcome> {
  const profile = profileOf(run, limits);
  return follow(profile, await start(profile));
}

describe('what an installer leaves running', () => {
  test('is named, in its own session or not, and not waited for', async () => {
    const outcome = await install(
      `sleep 3000 & echo $! >"$NIXPROOF_ROOT/left"; setsid tail -f /dev/null & sleep 3001 &
       until [ "$(cat /proc/$!/comm)" = sleep ] && pgrep -f 'tail -f /dev/nul[l]' >/dev/null; do :; done; echo done`,
    );
    expect(outcome).toMatchObject({ end: { kind: 'exited', exitCode: 0 }, log: { bytes: 5, verified: true } });
    expect([...(outcome.left ?? [])].sort()).toEqual(['sleep', 'tail']);
    expect(await isGone('left')).toBe(false);
  });

  test('is nothing, of one that waits for its children', async () => {
    expect(await install('sleep 0.01 & wait; echo done')).not.toHaveProperty('left');
  });
});

describe('an installer that is stopped is dead, with all it started', () => {
  const CHILD = 'sleep 3000 & echo $! >"$NIXPROOF_ROOT/child"; echo $$ >"$NIXPROOF_ROOT/shell"';

  test.each([
    ['silent', `${CHILD}; wait`, { stallMs: 1500 }, 'stalled'],
    ['talkative', `${CHILD}; while :; do echo 0123456789abcdef; done`, { maxLogBytes: 64 * KIB }, 'talkative'],
  ] as const)('%s', async (_, run, limits, kind) => {
    await rm(machine.resolvePath('/child'), { force: true });
    const { end } = await install(run, limits);
    expect(end.kind).toBe(kind);
    await vi.waitFor(async () => expect([await isGone('child'), await isGone('shell')]).toEqual([true, true]), 10_000);
  });

  test('before it is run again', async () => {
    await rm(machine.resolvePath('/child'), { force: true });
    const profile = profileOf(`${CHILD}; exit 1`);
    const guest = await start(profile);
    expect((await follow(profile, guest)).end).toEqual({ kind: 'exited', exitCode: 1 });
    expect(await isGone('child')).toBe(false);
    const heal = (number: number, rerun: boolean) =>
      applyHeal(
        machine,
        { run: ID, profile } as RunRequest,
        {
          number,
          plan: { commands: [], undo: [], edits: [], resume: 'rerun' },
          attempt: { number: guest, guest, replayedPhases: 0, heals: [] },
          guest,
          again: [],
          rerun,
        },
        (heal) => runFiles(layoutOf(home).runs, ID).heal(heal),
        WORK,
      );
    await heal(1, false);
    expect(await isGone('child')).toBe(false);
    await heal(2, true);
    await vi.waitFor(async () => expect(await isGone('child')).toBe(true), 10_000);
  });
});

describe('a log is verified where it is the guest’s whole log', () => {
  const WHOLE = { bytes: 5, verified: true };
  /** Follows one that has ended, whose log is changed when all of it but the end has been read. */
  async function changedAtTheEnd(change: (log: string, ours: string) => Promise<void>, limits?: Limits) {
    const profile = profileOf('printf 12345', limits);
    const number = await start(profile);
    const { log } = guestAttempt(machine, number);
    let changed = false;
    const connect: Machine['connect'] = async (work) => {
      const connection = await machine.connect(work);
      return {
        ...connection,
        isOpen: true,
        exec: async (argv, options) => {
          // The sum is asked for once the log is here.
          if (!changed && argv.some((word) => word.includes('sha256sum'))) {
            changed = true;
            await change(log, filesOf(number).log);
          }
          return connection.exec(argv, options);
        },
      };
    };
    return (await follow(profile, number, { machine: { ...machine, connect } })).log;
  }

  test('as it was', async () => {
    expect(await changedAtTheEnd(async () => undefined)).toMatchObject(WHOLE);
  });

  test('what the guest has written since is fetched', async () => {
    const log = await changedAtTheEnd((guest) => appendFile(guest, '678'));
    expect(log).toMatchObject({ bytes: 8, verified: true });
    expect(log).not.toHaveProperty('partOf');
  });

  test('other bytes of the same size are not it', async () => {
    const log = await changedAtTheEnd((guest) => writeFile(guest, '12X45'));
    expect(log).toMatchObject({ bytes: 5, verified: false });
  });

  test('fewer bytes are not it', async () => {
    expect(await changedAtTheEnd((guest) => writeFile(guest, '1234'))).toMatchObject({ bytes: 5, verified: false });
  });

  test('our own damaged bytes are not it', async () => {
    const log = await changedAtTheEnd((_, ours) => writeFile(ours, '12X45'));
    expect(log).toMatchObject({ bytes: 5, verified: false });
  });

  test('one that grows on for ever is not it, and it says of how much it is a part', async () => {
    const { log, left } = await install(
      '{ while :; do echo more; done; } & echo $! >"$NIXPROOF_ROOT/grows"; echo done',
    );
    process.kill(await pidOf('grows'), 'SIGKILL');
    expect(left).toEqual(['sh']);
    expect([log.verified, log.partOf?.same]).toEqual([false, true]);
    expect(log.partOf?.bytes).toBeGreaterThan(log.bytes);
  });

  test('one that is cut at maxLog is not it, and it says of how much it is a part', async () => {
    const { log } = await install('head -c 100000 /dev/zero | tr "\\\\0" x', { maxLogBytes: 64 * KIB });
    expect(log).toMatchObject({ bytes: 64 * KIB, verified: false, partOf: { bytes: 100_000, same: true } });
  });
});
