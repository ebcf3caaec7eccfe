import { describe, expect, test } from 'vitest';
import { statisticsOf } from '../../../src/history/statistics.js';
import { failed, healed, passed } from '../reports/fixtures.js';

describe('statistics', () => {
  test('count verdicts, failures and heals, and take medians of what passed', () => {
    const later = { ...passed, startedAt: '2026-01-06T10:00:00.000Z', durationMs: 260_000 };
    const { runs, profiles, failures, heals } = statisticsOf([later, healed, failed, passed]);
    expect(runs).toBe(4);
    expect(profiles.map(({ profile, medianMs }) => [profile, medianMs])).toEqual([
      ['server', 250_000],
      ['vm', 300_000],
      ['workstation', null],
    ]);
    expect(profiles[0]?.verdicts).toEqual({ passed: 2, healed: 0, failed: 0, error: 0, cancelled: 0 });
    expect(profiles[1]?.phases[0]).toEqual({
      name: 'DISK_PARTITIONING',
      medianMs: 9000,
      lastMs: 9000,
      trend: [9000],
    });
    expect(failures).toEqual([{ class: 'disk.not-found', count: 3 }]);
    expect(heals).toEqual([
      { name: 'use-the-disk-there-is', class: 'disk.not-found', worked: 1, noEffect: 0, failed: 0, rejected: 0 },
      { name: 'wait-for-udev', class: 'disk.not-found', worked: 0, noEffect: 2, failed: 0, rejected: 0 },
    ]);
  });

  test('leave out runs that go on', () => {
    expect(statisticsOf([{ ...passed, verdict: null }])).toEqual({
      runs: 0,
      profiles: [],
      failures: [],
      heals: [],
      slowest: [],
    });
  });

  test('tell what became slower and how steady a profile is, drills left out', () => {
    const times = [10, 11, 10, 9, 10, 20].map((seconds, day) => ({
      ...passed,
      startedAt: `2026-02-0${day + 1}T00:00:00.000Z`,
      durationMs: seconds * 1000,
      verdict: day === 2 ? ('failed' as const) : ('passed' as const),
    }));
    const drill = { ...passed, startedAt: '2026-03-01T00:00:00.000Z', durationMs: 1, faults: [{ name: 'dns-broken' }] };
    const first = { ...passed, startedAt: '2026-01-01T00:00:00.000Z', durationMs: 10_000 };
    const [server] = statisticsOf([first, ...times, drill]).profiles;
    expect(server?.slower).toEqual({ percent: 100, medianMs: 10_000, of: 5 });
    expect(server?.trend).toEqual([10_000, 10_000, 11_000, 9000, 10_000, 20_000]);
    expect(server?.steadiness).toEqual({ runs: 7, changes: 2 });
  });
});
