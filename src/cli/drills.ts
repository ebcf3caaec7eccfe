import type { DriverName, Profile } from '../domain/profile.js';
import type { DrillResult } from '../domain/run.js';
import type { SuiteReport, SuiteRequest } from '../domain/suite.js';
import { drillResult } from '../faults/drill.js';
import { oneLine } from '../reports/escape.js';
import { textTable } from '../reports/text-table.js';
import { drillsOf, faultsOf, requireFaults } from './faults.js';
import type { Wanted } from '../suites/plan.js';

/** The runs of a suite: one for each profile, or with `--drill` one for each of its faults. @throws `CONFIG_FLAG`, `UNSUPPORTED_FAULT` */
export function wantedRuns(
  profiles: readonly (Profile & { readonly driver: DriverName })[],
  { inject = [], drill = false }: { readonly inject?: readonly string[]; readonly drill?: boolean },
): readonly Wanted[] {
  if (drill) {
    return profiles.flatMap((profile) =>
      drillsOf(profile).map((fault): Wanted => ({ profile, faults: [fault], drill: true })),
    );
  }
  const faults = faultsOf(inject);
  for (const profile of profiles) requireFaults(profile, faults);
  return profiles.map((profile): Wanted => ({ profile, faults, drill: false }));
}

/** Adds what came of each drill. */
export function withDrills(report: SuiteReport, { runs }: SuiteRequest): SuiteReport {
  const drills = runs.flatMap(({ run, faults = [] }) => {
    const of = report.runs.find((one) => one.run === run);
    return of ? faults.map((fault) => drillResult(fault, of)) : [];
  });
  return { ...report, drills };
}

const HEADINGS = ['', 'profile', 'fault', 'seen in the machine', 'detected as', 'healed by', 'verdict', 'expected'];
const SEEN_CHARS = 50;

/** The matrix that `--drill` ends with. */
export function drillMatrix(drills: readonly DrillResult[]): string {
  const rows = drills.map((drill) => [
    drill.ok ? '✓' : '✗',
    drill.profile,
    drill.fault,
    drill.seen === '' ? 'nothing' : oneLine(drill.seen, SEEN_CHARS),
    drill.detectedAs ?? '-',
    drill.healedBy.join(', ') || '-',
    drill.verdict ?? 'running',
    drill.expected,
  ]);
  const good = drills.filter(({ ok }) => ok).length;
  return `${textTable([HEADINGS, ...rows])}${good} of ${drills.length} drills came as expected\n`;
}
