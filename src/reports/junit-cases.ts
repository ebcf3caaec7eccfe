import type { CheckResult, RunReport } from '../domain/run.js';
import { element, type XmlElement } from '../domain/xml.js';
import { oneLine } from './escape.js';
import { attemptsOf, classText, decidingFailure, reasonText, redChecks, type AttemptRecord } from './outcome.js';
import { durationText, secondsText } from './quantities.js';
import { storyOf } from './story.js';

const PHASES_LISTED = 200;

/** The attempts as testcases, and what ended the run as the last one's outcome, or as a `bench` case once checks had begun. */
export function installations(run: RunReport): readonly XmlElement[] {
  const attempts = attemptsOf(run);
  const ending = endingOf(run);
  const apart = ending !== undefined && (attempts.length === 0 || run.checks.length > 0);
  const cases = attempts.map((attempt) => {
    const isLast = attempt.number === attempts.length;
    const outcome = isLast && !apart && ending !== undefined ? [ending] : failureOf(run, attempt);
    const name = attempt.number === 1 ? 'installation' : `installation, attempt ${attempt.number}`;
    return testcase(run, name, attempt.durationMs, [...outcome, element('system-out', {}, attemptText(run, attempt))]);
  });
  const name = attempts.length === 0 ? 'installation' : 'bench';
  return apart ? [...cases, testcase(run, name, 0, [ending])] : cases;
}

/** What says that the run has no result, or failed without a failure on record: nothing else would show it. */
function endingOf(run: RunReport): XmlElement | undefined {
  switch (run.verdict) {
    case 'error': {
      const fault = run.fault ?? {
        code: 'INTERNAL_UNKNOWN',
        message: 'The run ended in error and left no fault on record.',
      };
      const hint = run.fault?.hint === undefined ? '' : `\nhint: ${run.fault.hint}`;
      return element('error', { type: fault.code, message: oneLine(fault.message) }, `${fault.message}${hint}`);
    }
    case 'cancelled':
      return element('skipped', { message: storyOf(run) });
    case null:
      return element('skipped', { message: storyOf(run) });
    case 'failed': {
      const known = decidingFailure(run) !== undefined || redChecks(run).length > 0;
      return known ? undefined : element('failure', { type: 'unknown', message: storyOf(run) });
    }
    default:
      return undefined;
  }
}

/** A failed attempt fails its testcase, unless a later attempt was healed into passing. */
function failureOf(run: RunReport, { failure }: AttemptRecord): readonly XmlElement[] {
  if (failure === undefined || run.verdict === 'healed') return [];
  const message = `${reasonText(failure)}${classText(failure)}, in phase ${oneLine(failure.phase, 100)}: ${oneLine(failure.line, 300)}`;
  const text = [
    reasonText(failure),
    `class: ${failure.class} (confidence ${failure.confidence.toFixed(2)})`,
    `phase: ${oneLine(failure.phase)}`,
    `line: ${oneLine(failure.line)}`,
    `byte offset in the log: ${failure.offset}`,
  ];
  return [element('failure', { type: failure.class, message }, text.join('\n'))];
}

function attemptText(run: RunReport, attempt: AttemptRecord): string {
  const { failure, phases } = attempt;
  const healed =
    run.verdict === 'healed' && failure !== undefined
      ? [
          `HEALED: this attempt failed in ${oneLine(failure.phase, 100)}${classText(failure)}: ${reasonText(failure)}. ${oneLine(failure.line, 300)}`,
        ]
      : [];
  const listed = phases
    .slice(0, PHASES_LISTED)
    .map((phase) => `${oneLine(phase.name, 100)}  ${durationText(phase.durationMs)}`);
  const more = phases.length > PHASES_LISTED ? [`… ${phases.length - PHASES_LISTED} phases left out`] : [];
  return [...healed, ...listed, ...more].join('\n');
}

/** A check as a testcase. */
export function checkCase(run: RunReport, check: CheckResult): XmlElement {
  const detail = oneLine(check.detail);
  return testcase(run, `check: ${oneLine(check.name, 200)}`, check.durationMs, [
    ...(check.status === 'fail' ? [element('failure', { type: 'check', message: detail }, detail)] : []),
    ...(check.status === 'skip' ? [element('skipped', { message: detail })] : []),
    ...(check.status === 'pass' && detail !== '' ? [element('system-out', {}, detail)] : []),
  ]);
}

function testcase(run: RunReport, name: string, durationMs: number, content: readonly XmlElement[]): XmlElement {
  const kept = content.filter((child) => child.content.length > 0 || child.name !== 'system-out');
  return element('testcase', { name, classname: className(run), time: secondsText(durationMs) }, kept);
}

/** What testcases and suites of a profile are filed under. */
export function className(run: RunReport): string {
  return `nixproof.${oneLine(run.profile, 100)}`;
}
