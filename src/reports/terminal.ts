import { styleText } from 'node:util';
import type { CheckResult, RunReport } from '../domain/run.js';
import { oneLine } from './escape.js';
import { checkpointsText, patchCommand, seenText } from './heals.js';
import {
  classText,
  decidingFailure,
  lookOf,
  NOTHING_CHECKED,
  passesChecks,
  reasonText,
  redChecks,
  type VerdictLook,
} from './outcome.js';
import { durationText, plural } from './quantities.js';

type Colour = 'green' | 'yellow' | 'red' | 'magenta' | 'gray' | 'cyan' | 'bold' | 'dim';

/** Colours a text, or hands it back as it is. */
export type Paint = (colour: Colour, text: string) => string;

/** @param colour whether to colour at all: the caller knows the terminal and `NO_COLOR` */
export function painter(colour: boolean): Paint {
  return (name, text) => (colour ? styleText(name, text, { validateStream: false }) : text);
}

export interface SummaryOptions {
  /** Whether the terminal takes colours and the user wants them. */
  readonly colour: boolean;
  /** Where a run's report is, for people to open: a path or an address. */
  readonly reportOf?: (run: RunReport) => string | undefined;
  /** Where the Temporal UI shows a run. */
  readonly uiOf?: (run: RunReport) => string | undefined;
}

const COLOURS: Readonly<Record<VerdictLook['key'], Colour>> = {
  passed: 'green',
  healed: 'yellow',
  failed: 'red',
  error: 'magenta',
  cancelled: 'gray',
  running: 'cyan',
};
const LINE_LIMIT = 200;
const CHECKS_SHOWN = 20;

/** The summary `nixproof test` ends with: plain lines, each ended by a newline; guest text in it can move no cursor. */
export function renderTerminalSummary(runs: readonly RunReport[], options: SummaryOptions): string {
  const paint = painter(options.colour);
  return runs
    .flatMap((run) => runLines(run, options, paint))
    .map((line) => `${line}\n`)
    .join('');
}

function runLines(run: RunReport, options: SummaryOptions, paint: Paint): readonly string[] {
  const { key, word, sign } = lookOf(run.verdict);
  const verdict = paint('bold', paint(COLOURS[key], `${sign} ${word.padEnd(9)}`));
  const facts = paint('dim', `${run.driver}, ${durationText(run.durationMs)}, ${plural(run.attempts, 'attempt')}`);
  const report = options.reportOf?.(run);
  const ui = options.uiOf?.(run);
  return [
    `${verdict} ${paint('bold', oneLine(run.profile, 60))}  ${facts}`,
    ...[
      ...causeLines(run, paint),
      ...(report === undefined ? [] : [`report    ${report}`]),
      ...(ui === undefined ? [] : [`temporal  ${ui}`]),
    ].map((line) => `  ${line}`),
  ];
}

function causeLines(run: RunReport, paint: Paint): readonly string[] {
  return [
    ...faultLines(run, paint),
    ...injectedLines(run, paint),
    ...failureLines(run, paint),
    ...healLines(run, paint),
    ...checkLines(run, paint),
  ];
}

function faultLines(run: RunReport, paint: Paint): readonly string[] {
  if (run.fault === undefined) return [];
  const hint = run.fault.hint === undefined ? [] : [`hint      ${oneLine(run.fault.hint, LINE_LIMIT)}`];
  return [`${paint('magenta', run.fault.code)}: ${oneLine(run.fault.message, LINE_LIMIT * 2)}`, ...hint];
}

function injectedLines({ faults }: RunReport, paint: Paint): readonly string[] {
  return faults.map(({ name, phase, seen }) => {
    const where = phase === '' ? 'before the installer' : `in ${oneLine(phase, 60)}`;
    const told = seen === '' ? 'the machine showed nothing of it' : oneLine(seen, LINE_LIMIT);
    return `${paint('magenta', `injected ${name}`)} ${where}: ${told}`;
  });
}

function failureLines(run: RunReport, paint: Paint): readonly string[] {
  const failure = decidingFailure(run);
  if (failure === undefined) return [];
  const phase = oneLine(failure.phase, 60);
  const where = phase === '' ? 'failed' : `failed in ${phase}`;
  const line = oneLine(failure.line, LINE_LIMIT);
  const told = line === '' || line === oneLine(failure.reason, LINE_LIMIT);
  return [
    `${paint('red', where)}: ${reasonText(failure)}${classText(failure)}`,
    ...(told ? [] : [`${paint('dim', '│')} ${line}`]),
  ];
}

function healLines(run: RunReport, paint: Paint): readonly string[] {
  const { pending } = run;
  const tried = run.heals.map(
    (heal) =>
      `${paint('yellow', `heal ${oneLine(heal.name, 60)}`)} for ${oneLine(heal.class, 60)}: ${heal.outcome}, ${oneLine(heal.reason, LINE_LIMIT)} (${oneLine(heal.title, 100)}; ${seenText(heal)})`,
  );
  const asked =
    pending === undefined
      ? []
      : [
          `waits     nixproof approve ${oneLine(run.run, 100)} ${oneLine(pending.name, 60)} (${oneLine(pending.title, 100)}), or reject`,
        ];
  const patch = patchCommand(run);
  const checkpoints = checkpointsText(run);
  return [
    ...tried,
    ...asked,
    ...(patch === undefined ? [] : [`patch     ${oneLine(patch, LINE_LIMIT)}`]),
    ...(checkpoints === '' ? [] : [paint('dim', checkpoints)]),
  ];
}

function checkLines(run: RunReport, paint: Paint): readonly string[] {
  const red = redChecks(run);
  const line = (check: CheckResult) =>
    `${paint('red', '✗')} ${oneLine(check.name, 80)}: ${oneLine(check.detail, LINE_LIMIT)}`;
  const more = red.length > CHECKS_SHOWN ? [`… ${plural(red.length - CHECKS_SHOWN, 'more failed check')}`] : [];
  const passed = run.checks.filter((check) => check.status === 'pass').length;
  const installed = (run.verdict === 'passed' || run.verdict === 'healed') && !passesChecks(run);
  const count = run.checks.length > 0 ? [`${passed} of ${plural(run.checks.length, 'check')} passed`] : [];
  return [...(installed ? [NOTHING_CHECKED] : []), ...count, ...red.slice(0, CHECKS_SHOWN).map(line), ...more];
}
