import { faultText, type FaultRequest } from '../domain/fault.js';
import type { DrillResult, RunReport } from '../domain/run.js';
import { faultNamed } from './index.js';

/** What a run came to that was made to suffer one fault, beside what the table expects of it. */
export function drillResult(fault: FaultRequest, report: RunReport): DrillResult {
  const { outcome, expects } = faultNamed(fault.name);
  const { run, profile, verdict } = report;
  const seen = report.faults.find(({ name }) => name === fault.name)?.seen ?? '';
  const detectedAs = report.failures[0]?.class ?? null;
  const foundOut = outcome === 'passed' || expects.some((name) => name === detectedAs);
  return {
    run,
    profile,
    fault: faultText(fault),
    seen,
    detectedAs,
    healedBy: report.heals.filter((heal) => heal.outcome === 'worked').map(({ name }) => name),
    verdict,
    expected: outcome,
    ok: verdict === outcome && foundOut && seen !== '',
  };
}
