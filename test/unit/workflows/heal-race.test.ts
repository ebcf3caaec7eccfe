import { beforeEach, describe, expect, test, vi } from 'vitest';
import { checkpointName, type AttemptOutcome, type AttemptRef } from '../../../src/domain/attempt.js';
import type { Candidate, Fork, HealApplied } from '../../../src/domain/heal.js';
import type { HealRecord, PendingHeal, RunRequest } from '../../../src/domain/run.js';
import { failureOf } from '../../../src/domain/failure.js';
import { createHealLoop, type HealSteps } from '../../../src/workflows/heal-loop.js';

vi.mock(
  import('@temporalio/workflow'),
  async (original) => (await import('./workflow-world.js')).workflowModule(original) as never,
);

const FIRST: AttemptRef = { number: 1, guest: 1, replayedPhases: 0, heals: [] };
const P1 = checkpointName(FIRST, 1);

function outcomeOf(phases: number, exitCode = 1): AttemptOutcome {
  return {
    end: { kind: 'exited', exitCode },
    startedAt: 0,
    endedAt: 100,
    phases: Array.from({ length: phases }, (_, index) => ({ name: `P${index + 1}`, at: index * 10 })),
    errors: [],
    tail: [{ text: 'it broke', offset: 10 }],
    log: { bytes: 100, lines: 10, sha256: '', verified: true },
    barrier: 1,
    checkpoints: [{ name: P1, barrier: 1, takenAt: 5, tookMs: 1, bytes: 1 }],
  };
}
const FAILED = outcomeOf(1);
const failure = failureOf(FAILED) as NonNullable<ReturnType<typeof failureOf>>;
const DONE = outcomeOf(2, 0);

function candidate(name: string, confidence = 0.9, more: object = {}): Candidate {
  const plan = { commands: [`do ${name}`], undo: [], edits: [], resume: 'phase', ...more } as const;
  return { name, class: 'disk.busy', title: name, confidence, seen: { worked: 0, notWorked: 0 }, plan };
}

const endless = () => new Promise<never>(() => undefined);

interface Bench {
  candidates: readonly Candidate[];
  policy: object;
  request: object;
  /** What an attempt on a machine comes to; the run's is `run`. */
  follow: Record<string, () => Promise<AttemptOutcome>>;
  apply: (name: string) => HealApplied;
  room: (fork: Fork) => boolean;
}
let bench: Bench;
let asked: string[];
let records: HealRecord[];
let notes: string[];
let states: string[];
let pending: (PendingHeal | undefined)[];
beforeEach(() => {
  bench = {
    candidates: ['a', 'b', 'c', 'd'].map((name) => candidate(name)),
    policy: { policy: 'race' },
    request: {},
    follow: {},
    apply: () => ({ ok: true, said: '', files: 2 }),
    room: () => true,
  };
  [asked, records, notes, states, pending] = [[], [], [], [], []];
});

function openLoop() {
  const healing = { threshold: 0.6, max: 9, askMs: 50, heals: [], ...bench.policy };
  const profile = { healing, install: { kind: 'script' } };
  const steps: HealSteps = {
    plan: async (_attempt, _failure, tried) => bench.candidates.filter(({ name }) => !tried.includes(name)),
    apply: async (_application, name, machine) => {
      asked.push(`apply ${name} on ${machine ?? 'run'}`);
      return bench.apply(name);
    },
    undo: async (_application, name) => void asked.push(`undo ${name}`),
    fork: async (forks) => {
      asked.push(`fork ${forks.map(({ machine, checkpoint }) => `${machine} of ${checkpoint}`).join(', ')}`);
      return forks.filter(bench.room).map(({ machine }) => machine);
    },
    follow: (attempt, machine = 'run') => {
      asked.push(`follow ${attempt.number} on ${machine}`);
      return (bench.follow[machine] ?? endless)();
    },
    settleOn: async (machine) => void asked.push(`settle on ${machine ?? 'run'}`),
  };
  return createHealLoop({ run: 'vm', profile, ...bench.request } as unknown as RunRequest, steps, {
    tell: (state) => states.push(state),
    record: (heal) => records.push(heal),
    pending: (heal) => pending.push(heal),
    note: (text) => notes.push(text),
  });
}

const told = () => records.map(({ number, name, outcome, reason }) => `${number} ${name} ${outcome}: ${reason}`);

describe('a race of heals', () => {
  test('has three machines, and the first that gets past the failure wins', async () => {
    bench.follow = { 'vm-h2': async () => DONE };
    const loop = openLoop();
    const next = await loop.next(FIRST, FAILED, failure);
    expect(next).toEqual({ attempt: { number: 3, guest: 1, replayedPhases: 0, heals: [2] }, outcome: DONE });
    expect(asked).toEqual([
      `fork vm-h2 of ${P1}, vm-h3 of ${P1}`,
      'apply a on run',
      'apply b on vm-h2',
      'apply c on vm-h3',
      'follow 2 on run',
      'follow 3 on vm-h2',
      'follow 4 on vm-h3',
      'settle on vm-h2',
    ]);
    expect(notes).toEqual(['heals tried side by side: a, b, c; first: b; broken off: a, c']);
    expect(states).toContain('healing, side by side: a, b, c');
    expect(loop.onTrial()).toEqual(['b']);
    expect(records).toEqual([]);
    await loop.settle(DONE);
    expect(told()).toEqual(['2 b worked: the installer got past the failure']);
    expect(records[0]).toMatchObject({ files: 2, resumed: 'phase', phase: 'P1' });
    expect(loop.onTrial()).toEqual([]);
  });

  test('is won by a later phase while the installer goes on, and its end is waited for', async () => {
    let end: (outcome: AttemptOutcome) => void = () => undefined;
    bench.follow = { run: () => new Promise((resolve) => (end = resolve)), 'vm-h2': endless };
    bench.candidates = [candidate('a'), candidate('b')];
    const loop = openLoop();
    const next = loop.next(FIRST, FAILED, failure);
    await vi.waitFor(() => expect(asked).toContain('follow 3 on vm-h2'));
    loop.progressed({ attempt: 2, phases: 1 } as never);
    loop.progressed({ attempt: 2, phases: 2 } as never);
    // Told late: how far it has come does not shrink.
    loop.progressed({ attempt: 2 } as never);
    setImmediate(() => setImmediate(() => end(DONE)));
    expect((await next)?.attempt.number).toBe(2);
    expect(asked.at(-1)).toBe('settle on run');
    expect(notes).toEqual(['heals tried side by side: a, b; first: a; broken off: b']);
  });

  test('that none wins goes on with the next heals, and tells of each why', async () => {
    bench.follow = { run: async () => FAILED, 'vm-h2': endless, 'vm-h3': async () => FAILED };
    bench.apply = (name) => ({ ok: name !== 'b', said: 'no such file', files: 0 });
    bench.candidates = bench.candidates.slice(0, 3);
    const loop = openLoop();
    expect(await loop.next(FIRST, FAILED, failure)).toBeUndefined();
    expect(told()).toEqual([
      '1 a no-effect: the installer failed at the same point',
      '2 b failed: its commands failed: no such file',
      '3 c no-effect: the installer failed at the same point',
    ]);
    expect(asked.at(-1)).toBe('settle on run');
    expect(loop.onTrial()).toEqual([]);
    expect(notes).toEqual(['heals tried side by side: a, b, c']);
  });

  test('does not call one that came second a failure', async () => {
    bench.follow = { run: async () => DONE, 'vm-h2': async () => DONE };
    bench.candidates = [candidate('a'), candidate('b')];
    await openLoop().next(FIRST, FAILED, failure);
    expect(records).toEqual([]);
    expect(notes).toEqual(['heals tried side by side: a, b; first: a; broken off: b']);
  });

  test('tries the one that is left over alone, with the next number', async () => {
    bench.follow = { run: async () => FAILED, 'vm-h2': async () => FAILED, 'vm-h3': async () => FAILED };
    const next = await openLoop().next(FIRST, FAILED, failure);
    expect(next).toEqual({ attempt: { number: 5, guest: 1, replayedPhases: 0, heals: [4] } });
    expect(asked.at(-1)).toBe('apply d on run');
  });

  test('ends with a fault as any step does', async () => {
    bench.follow = { run: () => Promise.reject(new Error('worker lost')), 'vm-h2': endless };
    bench.candidates = [candidate('a'), candidate('b')];
    await expect(openLoop().next(FIRST, FAILED, failure)).rejects.toThrow('worker lost');
  });

  test.each<[string, () => void]>([
    ['where faults were injected', () => (bench.request = { faults: [] })],
    ['of one heal', () => (bench.candidates = [candidate('a')])],
    ['of one that is sure enough', () => (bench.candidates = [candidate('a', 0.6), candidate('b', 0.59)])],
    ['where one more is all that is allowed', () => (bench.policy = { policy: 'race', max: 1 })],
    ['under another policy', () => (bench.policy = { policy: 'auto' })],
  ])('is none %s', async (_where, change) => {
    change();
    const next = await openLoop().next(FIRST, FAILED, failure);
    expect(asked).toEqual(['apply a on run']);
    expect(next).toEqual({ attempt: { number: 2, guest: 1, replayedPhases: 0, heals: [1] } });
  });

  test('is none without a checkpoint', async () => {
    await openLoop().next(FIRST, { ...FAILED, checkpoints: [] }, failure);
    expect(asked).toEqual(['apply a on run']);
  });

  test('leaves out the machines for which there is no room', async () => {
    bench.room = ({ machine }) => machine === 'vm-h3';
    bench.follow = { run: async () => DONE };
    await openLoop().next(FIRST, FAILED, failure);
    expect(asked.filter((step) => step.startsWith('apply'))).toEqual(['apply a on run', 'apply c on vm-h3']);
  });

  test('has as many machines as heals are left', async () => {
    bench.policy = { policy: 'race', max: 2 };
    bench.follow = { run: async () => DONE };
    await openLoop().next(FIRST, FAILED, failure);
    expect(asked[0]).toBe(`fork vm-h2 of ${P1}`);
  });
});

describe('a heal that is asked for', () => {
  beforeEach(() => {
    bench.policy = { policy: 'ask' };
    bench.candidates = [candidate('a', 0.1, { destroys: 'the disk' }), candidate('b')];
  });
  const asks = (loop: ReturnType<typeof openLoop>) => {
    const next = loop.next(FIRST, FAILED, failure);
    return { next, asked: () => vi.waitFor(() => expect(states.at(-1)).toMatch(/^waiting for a person/)) };
  };

  test('is applied once it is approved, however unsure', async () => {
    bench.policy = { policy: 'ask', askMs: 1e9 };
    const loop = openLoop();
    const { next, asked: wasAsked } = asks(loop);
    await wasAsked();
    expect(pending[0]).toMatchObject({ name: 'a', commands: ['do a'], destroys: 'the disk', confidence: 0.1 });
    expect(Date.parse(pending[0]?.until ?? '') - Date.now()).toBeGreaterThan(1e8);
    loop.decide({ approve: true });
    expect((await next)?.attempt.heals).toEqual([1]);
    expect(asked).toEqual(['apply a on run']);
    expect(pending).toEqual([expect.anything(), undefined]);
    expect(records).toEqual([]);
  });

  test('is passed over once it is rejected, and the next is asked for', async () => {
    bench.policy = { policy: 'ask', askMs: 1e9 };
    const loop = openLoop();
    const { next, asked: wasAsked } = asks(loop);
    await wasAsked();
    // Another one's name decides nothing.
    loop.decide({ approve: true, heal: 'b' });
    await new Promise((resolve) => setImmediate(resolve));
    loop.decide({ approve: false, heal: 'a' });
    await vi.waitFor(() => expect(pending.at(-1)?.name).toBe('b'));
    expect(pending.at(-1)).not.toHaveProperty('destroys');
    loop.decide({ approve: true, heal: 'b' });
    expect((await next)?.attempt.heals).toEqual([2]);
    expect(told()).toEqual(['1 a rejected: a person rejected it']);
    expect(records[0]).toMatchObject({ files: 0, resumed: 'phase', phase: 'P1', class: 'disk.busy' });
    expect(asked).toEqual(['apply b on run']);
  });

  test('is rejected where nobody answers in time', async () => {
    expect(await openLoop().next(FIRST, FAILED, failure)).toBeUndefined();
    expect(told()).toEqual(['1 a rejected: nobody approved it in time', '2 b rejected: nobody approved it in time']);
    expect(asked).toEqual([]);
  });
});
