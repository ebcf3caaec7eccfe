import { describe, expect, test } from 'vitest';
import { checkpointName, type AttemptOutcome, type AttemptRef } from '../../../src/domain/attempt.js';
import type { FailureClass } from '../../../src/domain/diagnosis.js';
import { failureOf } from '../../../src/domain/failure.js';
import type { Candidate, HealApplication, HealApplied, HealPlan } from '../../../src/domain/heal.js';
import type { HealRecord, RunRequest } from '../../../src/domain/run.js';
import { createHealLoop } from '../../../src/workflows/heal-loop.js';

const FIRST: AttemptRef = { number: 1, guest: 1, replayedPhases: 0, heals: [] };

function candidate(name: string, plan: Partial<HealPlan> = {}, confidence = 0.9): Candidate {
  const whole: HealPlan = { commands: [`do ${name}`], undo: [`undo ${name}`], edits: [], resume: 'phase', ...plan };
  return { name, class: 'disk.busy', title: name, confidence, seen: { worked: 0, notWorked: 0 }, plan: whole };
}

const EDIT = { edits: [{ kind: 'write', path: 'x', content: 'y' }] } as const;

/** A loop over candidates of these names, and what it asked for, in order. */
function loopOf(candidates: readonly Candidate[], policy: object = {}, failing: readonly string[] = []) {
  const asked: string[] = [];
  const applications: HealApplication[] = [];
  const records: HealRecord[] = [];
  const request = {
    profile: {
      healing: { policy: 'auto', threshold: 0.6, max: 3, askMs: 0, heals: [], ...policy },
      install: { kind: 'script' },
    },
  } as unknown as RunRequest;
  const loop = createHealLoop(
    request,
    {
      plan: (_attempt, _failure, tried) => Promise.resolve(candidates.filter(({ name }) => !tried.includes(name))),
      apply: (application, name): Promise<HealApplied> => {
        asked.push(`apply ${name}`);
        applications.push(application);
        return Promise.resolve({ ok: !failing.includes(name), said: '', files: application.plan.edits.length });
      },
      undo: (_application, name) => {
        asked.push(`undo ${name}`);
        return Promise.resolve();
      },
      fork: () => Promise.resolve([]),
      follow: () => Promise.reject(new Error('there is no race')),
      settleOn: () => Promise.reject(new Error('there is no race')),
    },
    { tell: () => undefined, pending: () => undefined, note: () => undefined, record: (heal) => records.push(heal) },
  );
  /** Fails an attempt in its last phase; its checkpoints are those of the machine. */
  const fail = async (attempt: AttemptRef, failed: Failed): Promise<AttemptRef | undefined> => {
    const outcome = outcomeOf(attempt, failed);
    const failure = failureOf(outcome);
    if (!failure) throw new Error('unreachable');
    return (await loop.next(attempt, outcome, failure))?.attempt;
  };
  return { loop, fail, asked, applications, records };
}

interface Failed {
  readonly phases: number;
  readonly class?: FailureClass;
  readonly offset?: number;
  /** Names; none where the machine has no checkpoints. */
  readonly checkpoints?: readonly string[];
}

function outcomeOf(_attempt: AttemptRef, { phases, class: name = 'disk.busy', offset = 10, checkpoints = [] }: Failed) {
  const diagnosis = { class: name, confidence: 0.9, line: 0, offset, evidence: ['x'], why: '', rule: '', captures: {} };
  const outcome: AttemptOutcome = {
    end: { kind: 'exited', exitCode: 1 },
    startedAt: 0,
    endedAt: 100,
    phases: Array.from({ length: phases }, (_, index) => ({ name: `P${index + 1}`, at: index * 10 })),
    errors: [],
    tail: [],
    log: { bytes: 100, lines: 10, sha256: '', verified: true },
    barrier: phases,
    checkpoints: checkpoints.map((one) => {
      const barrier = Number(/p(\d+)/.exec(one)?.[1]);
      return { name: one, barrier, takenAt: (barrier - 1) * 10 + 5, tookMs: 1, bytes: 1 };
    }),
    diagnoses: [diagnosis],
  };
  return outcome;
}

const outcomes = (records: readonly HealRecord[]) =>
  records.map(({ name, outcome, resumed }) => `${name} ${outcome} ${resumed}`);
const P1 = checkpointName(FIRST, 1);
const P2 = checkpointName(FIRST, 2);

describe('without checkpoints', () => {
  test('runs anew, undoes what had no effect or failed, and tries no heal twice for one failure', async () => {
    const { fail, asked, records } = loopOf([candidate('a'), candidate('b'), candidate('c')], {}, ['b']);
    const second = await fail(FIRST, { phases: 2 });
    expect(second).toEqual({ number: 2, guest: 2, replayedPhases: 0, heals: [1] });
    const third = await fail(second as AttemptRef, { phases: 2 });
    expect(third).toEqual({ number: 3, guest: 3, replayedPhases: 0, heals: [3] });
    expect(await fail(third as AttemptRef, { phases: 2 })).toBeUndefined();
    expect(asked).toEqual(['apply a', 'undo a', 'apply b', 'undo b', 'apply c', 'undo c']);
    expect(outcomes(records)).toEqual(['a no-effect rerun', 'b failed rerun', 'c no-effect rerun']);
  });

  test('a failure further on is another one: what was tried may be tried again, and what worked stays', async () => {
    const { fail, loop, asked, records } = loopOf([candidate('a'), candidate('b')]);
    const second = await fail(FIRST, { phases: 1 });
    const third = await fail(second as AttemptRef, { phases: 2 });
    expect(third?.heals).toEqual([1, 2]);
    await loop.settle({ ...outcomeOf(third as AttemptRef, { phases: 3 }), end: { kind: 'exited', exitCode: 0 } });
    expect(asked).toEqual(['apply a', 'apply a']);
    expect(outcomes(records)).toEqual(['a worked rerun', 'a worked rerun']);
  });

  test.each([
    ['never', { policy: 'never' }],
    ['max 0', { max: 0 }],
    ['a threshold above all', { threshold: 0.95 }],
  ])('does nothing under %s', async (_name, policy) => {
    const { fail, asked } = loopOf([candidate('a')], policy);
    expect(await fail(FIRST, { phases: 1 })).toBeUndefined();
    expect(asked).toEqual([]);
  });
});

test('a race without room for a second machine is no race', async () => {
  const { fail, asked, records } = loopOf([candidate('a'), candidate('b')], { policy: 'race' });
  const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
  expect(second).toEqual({ number: 2, guest: 1, replayedPhases: 1, heals: [1] });
  await fail(second as AttemptRef, { phases: 2, checkpoints: [P1, P2] });
  expect(asked).toEqual(['apply a', 'apply b']);
  expect(outcomes(records)).toEqual(['a no-effect phase']);
});

describe('with checkpoints', () => {
  test('goes back to the phase that failed and on from there, and again for the next heal, with nothing undone', async () => {
    const { fail, asked, applications, records } = loopOf([candidate('a'), candidate('b')]);
    const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
    expect(second).toEqual({ number: 2, guest: 1, replayedPhases: 1, heals: [1] });
    const third = await fail(second as AttemptRef, { phases: 2, checkpoints: [P1, P2] });
    expect(third).toEqual({ number: 3, guest: 1, replayedPhases: 1, heals: [2] });
    expect(applications).toMatchObject([
      { number: 1, restore: P2, rerun: false, again: [] },
      { number: 2, restore: P2, rerun: false, again: [] },
    ]);
    expect(asked).toEqual(['apply a', 'apply b']);
    expect(outcomes(records)).toEqual(['a no-effect phase']);
  });

  test('what changes a script’s tree runs it anew from the earliest; where it had no effect the next starts there, too', async () => {
    const { fail, asked, applications } = loopOf([candidate('a', EDIT), candidate('b', EDIT)]);
    const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
    expect(second).toEqual({ number: 2, guest: 2, replayedPhases: 0, heals: [1] });
    const left = ['a2-p1-h1', 'a2-p2-h1'];
    const third = await fail(second as AttemptRef, { phases: 2, checkpoints: [P1, P2, ...left] });
    expect(third).toEqual({ number: 3, guest: 3, replayedPhases: 0, heals: [2] });
    expect(applications).toMatchObject([
      { restore: P1, guest: 1, rerun: true },
      { restore: P1, guest: 1, rerun: true, again: [] },
    ]);
    expect(asked).toEqual(['apply a', 'apply b']);
  });

  test('undoes what had no effect where the checkpoints from before it are gone', async () => {
    const { fail, asked } = loopOf([candidate('a', EDIT), candidate('b')]);
    const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
    await fail(second as AttemptRef, { phases: 2, checkpoints: ['a2-p1-h1', 'a2-p2-h1'] });
    expect(asked).toEqual(['apply a', 'undo a', 'apply b']);
  });

  test('what worked in the same phase is applied again where the checkpoint is older', async () => {
    const { fail, applications, records } = loopOf([candidate('a'), candidate('b')]);
    const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
    const third = await fail(second as AttemptRef, {
      phases: 2,
      class: 'network.dns',
      offset: 50,
      checkpoints: [P1, P2],
    });
    expect(outcomes(records)).toEqual(['a worked phase']);
    expect(third).toEqual({ number: 3, guest: 1, replayedPhases: 1, heals: [1, 2] });
    expect(applications[1]).toMatchObject({
      number: 2,
      restore: P2,
      again: [{ number: 1, plan: candidate('a').plan }],
    });
  });

  test('and goes on from the checkpoint of a later phase that has it', async () => {
    const { fail, applications } = loopOf([candidate('a'), candidate('b')]);
    const second = await fail(FIRST, { phases: 2, checkpoints: [P1, P2] });
    const third = await fail(second as AttemptRef, { phases: 3, checkpoints: [P1, P2, 'a1-p3-h1'] });
    expect(third).toEqual({ number: 3, guest: 1, replayedPhases: 2, heals: [1, 2] });
    expect(applications[1]).toMatchObject({ restore: 'a1-p3-h1', rerun: false, again: [] });
  });
});
