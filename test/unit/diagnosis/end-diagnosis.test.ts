import { expect, test } from 'vitest';
import type { AttemptEnd } from '../../../src/domain/attempt.js';
import type { Diagnosis, FailureClass } from '../../../src/domain/diagnosis.js';
import { withEnd } from '../../../src/diagnosis/end-diagnosis.js';

const told = (name: FailureClass, confidence: number): Diagnosis => ({
  class: name,
  confidence,
  line: 3,
  offset: 40,
  evidence: ['a line'],
  why: 'it says so',
  rule: `${name}/rule`,
  captures: {},
});
const AT = { line: 9, offset: 120 };

const rows: readonly (readonly [AttemptEnd, readonly Diagnosis[], readonly (readonly [FailureClass, string])[]])[] = [
  [{ kind: 'exited', exitCode: 3 }, [], []],
  [{ kind: 'exited', exitCode: 3 }, [told('disk.full', 0.9)], [['disk.full', 'disk.full/rule']]],
  [{ kind: 'killed' }, [], [['unknown', 'end/killed']]],
  [
    { kind: 'killed' },
    [told('disk.full', 0.6)],
    [
      ['unknown', 'end/killed'],
      ['disk.full', 'disk.full/rule'],
    ],
  ],
  // The kernel kills what takes its memory: that is the cause.
  [{ kind: 'killed' }, [told('memory.oom', 0.5)], [['memory.oom', 'memory.oom/rule']]],
  [{ kind: 'machine-lost' }, [], [['unknown', 'end/machine-lost']]],
  [{ kind: 'talkative', limitBytes: 1000 }, [], [['unknown', 'end/talkative']]],
  [{ kind: 'stalled', silentMs: 1000 }, [], [['timeout', 'end/stalled']]],
  [
    { kind: 'timed-out', limitMs: 1000 },
    [told('network.dns', 0.9)],
    [
      ['network.dns', 'network.dns/rule'],
      ['timeout', 'end/timed-out'],
    ],
  ],
];

test.each(rows)('%j', (end, diagnoses, expected) => {
  expect(withEnd(diagnoses, end, AT).map((one) => [one.class, one.rule])).toEqual(expected);
});

test('the end stands where the log ends, and quotes nothing', () => {
  expect(withEnd([], { kind: 'killed' }, AT)).toEqual([
    {
      class: 'unknown',
      confidence: 0.9,
      why: 'the installer was killed from outside',
      ...AT,
      evidence: [],
      rule: 'end/killed',
      captures: {},
    },
  ]);
});
