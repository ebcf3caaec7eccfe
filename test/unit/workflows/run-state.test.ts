import { describe, expect, test } from 'vitest';
import type { AttemptOutcome } from '../../../src/domain/attempt.js';
import type { RunReport, RunRequest } from '../../../src/domain/run.js';
import {
  checkpointCosts,
  emptyReport,
  missedFaults,
  phaseRecord,
  phasesOf,
  verdictOf,
} from '../../../src/workflows/run-state.js';

const request = {
  run: 'vm-1',
  suite: 's-1',
  driver: 'qemu',
  profile: { name: 'vm' },
} as unknown as RunRequest;

describe('a report that begins', () => {
  test('is of its run, without a verdict', () => {
    const report = emptyReport(request);
    expect(report).toMatchObject({ run: 'vm-1', suite: 's-1', profile: 'vm', driver: 'qemu', verdict: null });
    expect(Date.parse(report.startedAt)).toBeGreaterThan(0);
    expect(report).not.toHaveProperty('base');
    expect(report).not.toHaveProperty('source');
  });

  test('names the base and the pinned source, and nothing else of the source', () => {
    const source = { repository: 'r', ref: 'main', commit: 'c', folder: '/secret' };
    const profile = { name: 'vm', base: 'debian' };
    expect(emptyReport({ ...request, profile, source } as unknown as RunRequest)).toMatchObject({
      base: 'debian',
      source: { repository: 'r', ref: 'main', commit: 'c' },
    });
    expect(emptyReport({ ...request, source } as unknown as RunRequest).source).not.toHaveProperty('folder');
  });
});

const outcome = {
  endedAt: 5000,
  phases: [
    { name: 'A', at: 1000 },
    { name: 'B', at: 3000 },
    { name: 'C', at: 4000 },
  ],
} as unknown as AttemptOutcome;
const ref = { number: 2, guest: 1, replayedPhases: 1, heals: [1] };

test('a phase lasts until the next, the last one until the end', () => {
  expect(phasesOf(outcome, { ...ref, replayedPhases: 0 })).toEqual([
    phaseRecord('A', 1000, 3000, 2),
    phaseRecord('B', 3000, 4000, 2),
    phaseRecord('C', 4000, 5000, 2),
  ]);
  expect(phaseRecord('A', 1000, 3000, 2)).toEqual({
    name: 'A',
    startedAt: '1970-01-01T00:00:01.000Z',
    durationMs: 2000,
    attempt: 2,
  });
});

test('phases that came back with a checkpoint are another attempt’s', () => {
  expect(phasesOf(outcome, ref).map(({ name }) => name)).toEqual(['B', 'C']);
});

test('an attempt pays for the checkpoints that it took itself, each in its phase', () => {
  const cost = { tookMs: 5, bytes: 6 };
  const checkpoints = [
    { name: 'a1-p1', barrier: 1, takenAt: 1000, ...cost },
    { name: 'a1-p2-h1', barrier: 2, takenAt: 3000, ...cost },
    { name: 'a1-p3-h1', barrier: 3, takenAt: 999, ...cost },
  ];
  expect(checkpointCosts({ ...outcome, checkpoints }, ref)).toEqual([
    { name: 'a1-p2-h1', phase: 'B', attempt: 2, ...cost },
    { name: 'a1-p3-h1', phase: '', attempt: 2, ...cost },
  ]);
});

test('faults that did not come about are told with the reason', () => {
  const faults = [{ name: 'dns', phase: 'A' }, { name: 'dns', phase: 'B' }, { name: 'dns' }] as unknown as NonNullable<
    RunRequest['faults']
  >;
  const missed = (results: Parameters<typeof missedFaults>[1]) => missedFaults({ ...request, faults }, results);
  const [first] = missed([]);
  expect(missed([])).toHaveLength(3);
  const asked = first?.split(' ')[0] ?? '';
  const result = { request: asked, name: 'dns-broken', phase: 'A', at: '', seen: '' } as const;
  expect(missed([result])).toHaveLength(2);
  expect(missed([{ ...result, refused: 'no network' }])[0]).toBe(`${asked} was not injected: no network`);
  expect(missedFaults(request, [])).toEqual([]);
});

test.each<[string, Pick<RunReport, 'checks' | 'heals'>, string]>(
  [
    ['passed', { checks: [{ status: 'pass' }], heals: [] }, 'passed'],
    ['no checks', { checks: [], heals: [] }, 'passed'],
    ['a red check', { checks: [{ status: 'pass' }, { status: 'fail' }], heals: [{ outcome: 'worked' }] }, 'failed'],
    ['a heal', { checks: [], heals: [{ outcome: 'no-effect' }, { outcome: 'worked' }] }, 'healed'],
    ['a heal that had no effect', { checks: [], heals: [{ outcome: 'no-effect' }] }, 'passed'],
  ].map(([name, run, verdict]) => [name, run, verdict] as never),
)('the verdict with %s', (_name, run, verdict) => {
  expect(verdictOf(run)).toBe(verdict);
});
