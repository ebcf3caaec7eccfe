import { describe, expect, test } from 'vitest';
import type { RunReport } from '../../../src/domain/run.js';
import { renderTerminalSummary, reporters } from '../../../src/reports/index.js';
import { NOTHING_CHECKED, meaningOf } from '../../../src/reports/outcome.js';
import type { ReportFormat } from '../../../src/reports/reporter.js';
import { failed, healed, passed, sourceOf } from './fixtures.js';

const FAULTS = [{ name: 'dns-broken', phase: 'DISK_PARTITIONING', at: passed.startedAt, seen: '' }] as const;
const SKIPPED = passed.checks.map((check) => ({ ...check, status: 'skip' as const }));
const unchanged = (run: RunReport): RunReport => ({ ...run, heals: run.heals.map((heal) => ({ ...heal, files: 0 })) });
const notWorked = (run: RunReport): RunReport => ({
  ...run,
  heals: run.heals.map((heal) => (heal.outcome === 'worked' ? { ...heal, files: 0 } : { ...heal, files: 1 })),
});

const errorWith = (code: string): RunReport => ({
  ...failed,
  verdict: 'error',
  failures: [],
  fault: { code, message: 'no' },
});

const ALL: readonly (readonly [string, (run: RunReport) => Promise<string>])[] = [
  ['terminal', async (run) => renderTerminalSummary([run], { colour: false })],
  ...(Object.keys(reporters) as ReportFormat[])
    .filter((format) => format !== 'json')
    .map((format) => [format, (run: RunReport) => reporters[format].render(sourceOf(run))] as const),
];

describe('a report claims no more than the run has shown', () => {
  test('it is a table over every format for people', () => {
    expect(ALL.map(([format]) => format).sort()).toEqual(['html', 'junit', 'markdown', 'terminal']);
  });

  describe.each(ALL)('%s', (_, render) => {
    test.each([
      ['passed without checks', { ...passed, checks: [] }],
      ['passed with nothing but skipped checks', { ...passed, checks: SKIPPED }],
      ['healed without checks', { ...healed, checks: [] }],
    ])('%s: that nothing was checked, and not that it was verified', async (__, run) => {
      const text = (await render(run)).toLowerCase();
      expect(text).toContain(NOTHING_CHECKED);
      expect(text).not.toContain('installed and verified');
    });

    test.each([
      ['passed', passed],
      ['healed', healed],
      ['failed', failed],
      ['failed without checks', { ...failed, checks: [] }],
    ])('%s: nothing of that', async (__, run) => {
      expect((await render(run)).toLowerCase()).not.toContain(NOTHING_CHECKED);
    });

    test.each([
      ['without a change of the configuration', unchanged(healed)],
      ['with a change by a heal that did not help alone', notWorked(healed)],
      ['with a fault that was injected', { ...healed, faults: FAULTS }],
    ])('healed %s: not that the configuration does not install', async (__, run) => {
      expect(await render(run)).not.toMatch(/does not install|without (?:these changes|them)/);
    });
  });

  test.each([
    ['passed', passed, 'Installed and verified without help.'],
    ['passed, no checks', { ...passed, checks: [] }, 'Installed, nothing was checked.'],
    ['healed', healed, 'Passed only after changes; this configuration does not install without these changes.'],
    [
      'healed, no checks',
      { ...healed, checks: [] },
      'Installed, nothing was checked; it took changes; this configuration does not install without these changes.',
    ],
    [
      'healed, configuration unchanged',
      unchanged(healed),
      'Passed only after heals of the machine; nothing in the configuration was changed.',
    ],
    ['a drill', { ...healed, faults: FAULTS }, 'Passed only after heals against faults that were injected on purpose.'],
    ['failed', failed, 'This configuration did not install, or is not what its checks ask for.'],
    ['an error', errorWith('HOST_DISK_FULL'), 'The fault is the bench’s, not the configuration’s.'],
    [
      'an error of what is named',
      errorWith('CONFIG_SECRET'),
      'What the configuration names is not there, or is not as it must be.',
    ],
    [
      'a drill that failed',
      { ...failed, faults: FAULTS },
      'It did not install, or is not what its checks ask for, while faults were injected on purpose.',
    ],
  ])('%s', (_, run, meaning) => {
    expect(meaningOf(run)).toBe(meaning);
  });
});

describe('the log of which a report tells', () => {
  const html = (log: Partial<RunReport['log']>) =>
    reporters.html.render(sourceOf({ ...passed, log: { ...passed.log, ...log } }));

  test.each([
    ['the whole', {}, '✓ the same in the guest'],
    ['another', { verified: false }, 'not confirmed by the guest’s own sum'],
    [
      'a part',
      { verified: false, partOf: { bytes: 5 * 2 ** 20, same: true } },
      'only the beginning of the guest’s 5.0 MiB: the same there',
    ],
    [
      'a part of another',
      { verified: false, partOf: { bytes: 5 * 2 ** 20, same: false } },
      'only the beginning of the guest’s 5.0 MiB: not confirmed by its own sum',
    ],
  ])('%s', async (_, log, text) => {
    expect(await html(log)).toContain(text);
  });
});
