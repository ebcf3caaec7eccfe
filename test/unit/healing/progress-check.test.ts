import { expect, test } from 'vitest';
import type { AttemptEnd, AttemptOutcome } from '../../../src/domain/attempt.js';
import type { FailureClass } from '../../../src/domain/diagnosis.js';
import { hasProgressed } from '../../../src/healing/progress-check.js';

interface Attempt {
  readonly phases: number;
  readonly end?: AttemptEnd;
  readonly as?: FailureClass;
  readonly offset?: number;
}

function outcomeOf({ phases, end = { kind: 'exited', exitCode: 1 }, as, offset = 100 }: Attempt): AttemptOutcome {
  const diagnosis = { confidence: 0.9, line: 3, evidence: ['it broke'], why: 'broke', rule: 'x/y', captures: {} };
  return {
    end,
    startedAt: 0,
    endedAt: 1,
    phases: Array.from({ length: phases }, (_, index) => ({ name: `PHASE_${index}`, at: index })),
    errors: [],
    tail: [{ text: 'it broke', offset }],
    barrier: phases,
    checkpoints: [],
    log: { bytes: 1000, lines: 10, sha256: '', verified: true },
    ...(as === undefined ? {} : { diagnoses: [{ ...diagnosis, class: as, offset }] }),
  };
}

const success: AttemptEnd = { kind: 'exited', exitCode: 0 };
const rows: readonly (readonly [string, Attempt, Attempt, boolean])[] = [
  ['it succeeded', { phases: 2, as: 'disk.busy' }, { phases: 2, end: success }, true],
  ['it came to a later phase', { phases: 2, as: 'disk.busy' }, { phases: 3, as: 'disk.busy' }, true],
  ['it ended in an earlier phase', { phases: 2, as: 'disk.busy' }, { phases: 1, as: 'nix.build', offset: 900 }, false],
  ['it failed in the same way', { phases: 2, as: 'disk.busy' }, { phases: 2, as: 'disk.busy' }, false],
  [
    'it failed in the same way, later in the log',
    { phases: 2, as: 'disk.busy' },
    { phases: 2, as: 'disk.busy', offset: 900 },
    false,
  ],
  [
    'it failed for another reason further on',
    { phases: 2, as: 'disk.busy' },
    { phases: 2, as: 'disk.full', offset: 900 },
    true,
  ],
  [
    'it failed for another reason before',
    { phases: 2, as: 'disk.busy' },
    { phases: 2, as: 'disk.full', offset: 50 },
    false,
  ],
  ['it failed for no known reason', { phases: 2, as: 'disk.busy' }, { phases: 2, offset: 900 }, false],
  ['it was killed', { phases: 2, as: 'disk.busy' }, { phases: 2, end: { kind: 'killed' }, offset: 900 }, false],
];

test.each(rows)('%s', (_what, before, after, past) => {
  expect(hasProgressed(outcomeOf(before), outcomeOf(after))).toBe(past);
});
