import { describe, expect, it } from 'vitest';
import { attemptsOf, decidingFailure } from '../../../src/reports/outcome.js';
import { bytesText, durationText, measureText, plural, secondsText } from '../../../src/reports/quantities.js';
import { storyOf } from '../../../src/reports/story.js';
import { everyRun, failed, healed, hostile, passed } from './fixtures.js';

describe('quantities', () => {
  it.each([
    [0, '0 s'],
    [0.2, '1 ms'],
    [640, '640 ms'],
    [4_210, '4.2 s'],
    [9_960, '10 s'],
    [59_700, '1 m 0 s'],
    [151_000, '2 m 31 s'],
    [3_599_700, '1 h 0 m'],
    [3_840_000, '1 h 4 m'],
    [183_600_000, '2 d 3 h'],
    [Number.NaN, '0 s'],
    [-5, '0 s'],
  ])('%d ms is %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });

  it('says sizes, counts and values for people', () => {
    expect([bytesText(1), bytesText(512), bytesText(1_482_113), bytesText(5 * 2 ** 40)]).toEqual([
      '1 byte',
      '512 bytes',
      '1.4 MiB',
      '5.0 TiB',
    ]);
    expect([plural(1, 'phase'), plural(12_345, 'line')]).toEqual(['1 phase', '12,345 lines']);
    expect([measureText(0.123456), measureText(3000), measureText(1.5e12)]).toEqual(['0.1235', '3,000', '1.50e+12']);
    expect([measureText(0.98765, 'share'), measureText(1, 'share'), measureText(0.042, 'seconds')]).toEqual([
      '98.8 %',
      '100 %',
      '42 ms',
    ]);
    expect([measureText(300.4 * 1024 * 1024, 'bytes'), measureText(0.4, 'bytes/s')]).toEqual([
      '300.4 MiB',
      '0 bytes/s',
    ]);
    expect([secondsText(1234), secondsText(Number.NaN)]).toEqual(['1.234', '0.000']);
  });
});

describe('storyOf', () => {
  it.each([
    ['passed', 'server was installed on qemu in 2 m 31 s (4 phases), booted from its own disk, and passed 3 checks.'],
    [
      'healed',
      'vm was installed on qemu in 3 m 3 s (4 phases, attempt 2), booted from its own disk, and passed 3 checks. It needed 1 heal to get there: use-the-disk-there-is.',
    ],
    [
      'failed',
      'workstation failed on qemu in phase DISK_PARTITIONING at attempt 2, after 2 m 10 s: the installer ended with exit status 4 (disk.not-found).',
    ],
    [
      'redChecks',
      'server was installed on qemu in 2 m 31 s (4 phases), booted from its own disk, but failed 1 of 5 checks: fail2ban is active.',
    ],
    [
      'stalled',
      'vm failed on qemu in phase NIXOS_INSTALL, after 15 m 25 s: the installer printed nothing for 900 s and was stopped.',
    ],
    [
      'error',
      'vm could not be tested on qemu: the bench had a fault after 640 ms (HOST_NO_SPACE): The folder of runs has 12 MiB left and a machine needs 2 GiB.',
    ],
    ['cancelled', 'The test of vm on qemu was cancelled after 1 m 0 s, in phase NIXOS_INSTALL.'],
    ['running', 'vm is being tested on qemu: NIXOS_INSTALL, attempt 1 (1 m 0 s so far).'],
  ])('%s', (name, story) => {
    const run = everyRun[name];
    expect(run && storyOf(run)).toBe(story);
  });

  it('claims no boot and no checks that were not', () => {
    const unbooted = { ...passed, bootedInstalled: false };
    expect(storyOf(unbooted)).toBe('server was installed on qemu in 2 m 31 s (4 phases) and passed 3 checks.');
    expect(storyOf({ ...unbooted, checks: [] })).toBe(
      'server was installed on qemu in 2 m 31 s (4 phases); nothing was checked.',
    );
  });

  it('counts a sandbox’s restart as no phase of the installer, and claims no boot of it', () => {
    const boot = { name: 'BOOT', startedAt: passed.startedAt, durationMs: 27_000, attempt: 1 };
    const sandboxed = {
      ...passed,
      driver: 'sandbox',
      bootedInstalled: false,
      phases: [...passed.phases, boot],
    } as const;
    expect(storyOf(sandboxed)).toBe('server was installed on sandbox in 2 m 31 s (4 phases) and passed 3 checks.');
  });

  it('counts the bench’s restart neither as a phase nor as time of the installer', () => {
    const boot = { name: 'BOOT', startedAt: passed.startedAt, durationMs: 27_000, attempt: 1 };
    expect(storyOf({ ...passed, phases: [...passed.phases, boot] })).toBe(storyOf(passed));
  });

  it('is one bounded line without control characters, whatever the guest sent', () => {
    expect(storyOf(hostile)).toMatch(/^[^\x00-\x1f\x7f-\x9f\u202e\ud800]{1,2000}$/);
  });
});

describe('attemptsOf', () => {
  it('gives every failure to its attempt', () => {
    expect(attemptsOf(healed).map(({ number, failure }) => [number, failure?.class])).toEqual([
      [1, 'disk.not-found'],
      [2, undefined],
    ]);
    expect(decidingFailure(healed)).toBeUndefined();
    expect(decidingFailure(failed)?.class).toBe('disk.not-found');
    expect(decidingFailure(passed)).toBeUndefined();
    expect(decidingFailure({ ...failed, attempts: 0, phases: [] })?.class).toBe('disk.not-found');
  });
});
