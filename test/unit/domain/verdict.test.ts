import { describe, expect, test } from 'vitest';
import { barrierOf, checkpointName, type AttemptEnd, type AttemptOutcome } from '../../../src/domain/attempt.js';
import { describeEnd, diagnosedFailure, failureOf, plainFailure } from '../../../src/domain/failure.js';
import { exitCodeOf, tally, worstVerdict, type Verdict } from '../../../src/domain/verdict.js';

describe('the worst verdict', () => {
  const order: readonly Verdict[] = ['cancelled', 'error', 'failed', 'healed', 'passed'];
  const pairs = order.flatMap((worse, index) => order.slice(index).map((better) => [worse, better] as const));
  test.each(pairs)('of %s and %s is the first', (worse, better) => {
    expect(worstVerdict([better, worse])).toBe(worse);
  });

  test('of nothing is an error', () => expect(worstVerdict([])).toBe('error'));
});

test.each([
  ['passed', 0, 0],
  ['healed', 0, 1],
  ['failed', 1, 1],
  ['error', 3, 3],
  ['cancelled', 130, 130],
] as const)('%s exits with %d, and with --strict %d', (verdict, code, strict) => {
  expect(exitCodeOf(verdict, false)).toBe(code);
  expect(exitCodeOf(verdict, true)).toBe(strict);
});

test('a tally counts in the order of first appearance', () => {
  expect(tally(['passed', 'failed', 'passed', 'passed'])).toBe('3 passed, 1 failed');
  expect(tally([])).toBe('');
});

const attempt: AttemptOutcome = {
  end: { kind: 'exited', exitCode: 4 },
  startedAt: 0,
  endedAt: 1,
  phases: [],
  errors: [],
  tail: [],
  log: { bytes: 900, lines: 9, sha256: '', verified: true },
  barrier: 0,
  checkpoints: [],
};
const REASON = 'the installer ended with exit status 4';

describe('the failure of an attempt', () => {
  test('is none where it exited with 0, whatever was printed', () => {
    const errors = [{ text: 'no', offset: 1 }];
    expect(failureOf({ ...attempt, end: { kind: 'exited', exitCode: 0 }, errors })).toBeUndefined();
  });

  test.each([
    [
      'its first error',
      {
        errors: [
          { text: 'e1', offset: 10 },
          { text: 'e2', offset: 20 },
        ],
        tail: [],
      },
      'e1',
      10,
    ],
    [
      'its last line, without an error',
      {
        tail: [
          { text: 't1', offset: 5 },
          { text: 't2', offset: 7 },
          { text: 't3', offset: 9 },
        ],
      },
      't3',
      9,
    ],
    ['how it ended, without a line', {}, REASON, 900],
  ])('quotes %s', (_what, more, line, offset) => {
    expect(failureOf({ ...attempt, ...more })).toEqual(plainFailure('', line, offset, REASON));
  });

  test('is of the last phase', () => {
    const phases = [
      { name: 'A', at: 0 },
      { name: 'B', at: 1 },
      { name: 'C', at: 2 },
    ];
    expect(failureOf({ ...attempt, phases })?.phase).toBe('C');
  });

  const diagnosis = {
    class: 'disk.full',
    confidence: 0.9,
    line: 1,
    offset: 33,
    why: '',
    rule: '',
    captures: {},
  } as const;
  test('is what the best diagnosis says', () => {
    const other = { ...diagnosis, class: 'nix.build', evidence: [] } as const;
    expect(failureOf({ ...attempt, diagnoses: [{ ...diagnosis, evidence: ['no space'] }, other] })).toEqual({
      class: 'disk.full',
      phase: '',
      line: 'no space',
      offset: 33,
      confidence: 0.9,
      reason: REASON,
    });
  });

  test('keeps its line where the diagnosis has no evidence, and all where there is no diagnosis', () => {
    const plain = plainFailure('P', 'line', 7, 'why');
    expect(plain).toEqual({ class: 'unknown', phase: 'P', line: 'line', offset: 7, confidence: 0, reason: 'why' });
    expect(diagnosedFailure(plain)).toBe(plain);
    expect(diagnosedFailure(plain, [{ ...diagnosis, evidence: [] }])).toMatchObject({ line: 'line', offset: 33 });
  });
});

test.each<[AttemptEnd, RegExp]>([
  [{ kind: 'exited', exitCode: 7 }, /exit status 7$/],
  [{ kind: 'stalled', silentMs: 61_400 }, /nothing for 61 s and was stopped$/],
  [{ kind: 'stalled', silentMs: 1000, doing: 'sgdisk' }, /for 1 s and was stopped; .*: sgdisk$/],
  [{ kind: 'timed-out', limitMs: 2600 }, /longer than 3 s and was stopped$/],
  [{ kind: 'talkative', limitBytes: 5 * 2 ** 20 }, /more than 5 MiB and was stopped$/],
  [{ kind: 'killed' }, /was killed/],
  [{ kind: 'machine-lost' }, /the machine stopped/],
])('an end is described: %j', (end, words) => {
  expect(describeEnd({ ...attempt, end })).toMatch(words);
});

describe('a checkpoint', () => {
  const ref = { number: 5, guest: 2, replayedPhases: 0 };
  test.each([
    [[], 3, 'a2-p3'],
    [[1, 12], 14, 'a2-p14-h1-h12'],
    [[3], 4, 'a12-p4-h3', 12],
  ])('is named for the guest’s attempt, the phase and its heals %j', (heals, barrier, name, guest = 2) => {
    expect(checkpointName({ ...ref, guest, heals }, barrier)).toBe(name);
    expect(barrierOf(name)).toBe(barrier);
  });

  test.each(['failure', 'a1-p', 'a1-p2-h', 'xa1-p2', 'a1-p2x', 'a1-p2-h1x', 'p2'])('%s is of no phase', (name) => {
    expect(barrierOf(name)).toBeUndefined();
  });
});
