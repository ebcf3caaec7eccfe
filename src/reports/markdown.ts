import type { RunReport } from '../domain/run.js';
import type { SuiteReport } from '../domain/suite.js';
import { sourceText } from '../domain/source.js';
import { comparisonLines } from './comparison.js';
import { digestEvents, gapText, withGaps, type LogRow } from './digest.js';
import { escapeMarkdown, logLine, markdownCode, markdownFence, oneLine } from './escape.js';
import { checkpointsText, patchCommand, seenText } from './heals.js';
import { attemptsOf, classText, lookOf, meaningOf, reasonText, type AttemptRecord } from './outcome.js';
import { durationText, plural } from './quantities.js';
import type { Reporter } from './reporter.js';
import { storyOf } from './story.js';

const NAME_LIMIT = 100;
const LINE_LIMIT = 300;
/** A step summary may hold a mebibyte; these keep a run far below it. */
const PHASES_LISTED = 60;
const CHECKS_LISTED = 200;
const FAILURES_LISTED = 4;
const CONTEXT = { head: 0, tail: 0, phases: 0, notable: 0, before: 8, after: 4 } as const;

const SIGNS: Readonly<Record<ReturnType<typeof lookOf>['key'], string>> = {
  passed: '✅',
  healed: '🩹',
  failed: '❌',
  error: '⚠️',
  cancelled: '🚫',
  running: '⏳',
};

/** One run for a CI job's summary. */
export const markdownReporter: Reporter = {
  format: 'markdown',
  async render(source) {
    const { run } = source;
    const contexts = new Map<number, readonly LogRow[]>();
    for (const { number, failure } of failedAttempts(run)) {
      if (failure !== undefined)
        contexts.set(number, (await digestEvents(source.events(number), CONTEXT, failure.offset)).around);
    }
    return `${runMarkdown(run, '##', contexts)}\n`;
  },
};

/** A suite for a CI job's summary: what changed, a table of all runs, then each run that is no plain pass. */
export function renderSuiteMarkdown(suite: SuiteReport): string {
  const { runs } = suite;
  const rows = runs.map((run) => [
    markdownCode(oneLine(run.profile, NAME_LIMIT)),
    verdictText(run),
    run.driver,
    durationText(run.durationMs),
    String(run.attempts),
    escapeMarkdown(storyOf(run)),
  ]);
  const overview = table(['profile', 'verdict', 'driver', 'took', 'attempts', 'what happened'], rows);
  const detailed = runs.filter((run) => run.verdict !== 'passed').map((run) => runMarkdown(run, '###', new Map()));
  const list = comparisonLines(suite);
  const compared = list.length === 0 ? [] : [list.map((text) => `- ${escapeMarkdown(text)}`).join('\n')];
  return `${['## nixproof', ...compared, overview, ...detailed].join('\n\n')}\n`;
}

function runMarkdown(run: RunReport, heading: string, contexts: ReadonlyMap<number, readonly LogRow[]>): string {
  const parts = [
    `${heading} ${SIGNS[lookOf(run.verdict).key]} ${escapeMarkdown(oneLine(run.profile, NAME_LIMIT))}: ${lookOf(run.verdict).word}`,
    `${escapeMarkdown(storyOf(run))} _${meaningOf(run)}_`,
    fault(run),
    injected(run),
    ...failedAttempts(run).map((attempt) => failure(attempt, contexts.get(attempt.number) ?? [])),
    heals(run),
    checks(run),
    phases(run),
    checkpointsText(run),
    run.notes
      .slice(0, 20)
      .map((note) => `- ${escapeMarkdown(oneLine(note, LINE_LIMIT))}`)
      .join('\n'),
    run.source === undefined ? '' : `Source: ${markdownCode(oneLine(sourceText(run.source), LINE_LIMIT))}.`,
    `Run ${markdownCode(oneLine(run.run, NAME_LIMIT))}, artifacts in ${markdownCode(oneLine(run.artifacts, LINE_LIMIT))}.`,
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function verdictText(run: RunReport): string {
  const { key, word } = lookOf(run.verdict);
  return `${SIGNS[key]} **${word}**`;
}

function fault(run: RunReport): string {
  if (run.fault === undefined) return '';
  const hint = run.fault.hint === undefined ? '' : `<br>Hint: ${escapeMarkdown(oneLine(run.fault.hint, LINE_LIMIT))}`;
  return `**${markdownCode(run.fault.code)}** ${escapeMarkdown(oneLine(run.fault.message))}${hint}`;
}

function injected({ faults }: RunReport): string {
  if (faults.length === 0) return '';
  const rows = faults.map(({ name, phase, at, seen }) => [
    markdownCode(name),
    phase === '' ? 'before the installer' : markdownCode(oneLine(phase, NAME_LIMIT)),
    at,
    seen === '' ? 'nothing' : markdownCode(oneLine(seen, LINE_LIMIT)),
  ]);
  return table(['injected on purpose', 'where', 'at', 'seen in the machine'], rows);
}

function failedAttempts(run: RunReport): readonly AttemptRecord[] {
  return attemptsOf(run)
    .filter((attempt) => attempt.failure !== undefined)
    .slice(-FAILURES_LISTED);
}

function failure({ number, failure: record }: AttemptRecord, context: readonly LogRow[]): string {
  if (record === undefined) return '';
  const title = `**Attempt ${number} failed** in ${markdownCode(oneLine(record.phase, NAME_LIMIT))}: ${escapeMarkdown(`${reasonText(record)}${classText(record)}`)}.`;
  const first = context[0]?.index ?? 0;
  const last = (context.at(-1)?.index ?? -1) + 1;
  const lines = withGaps(context, last)
    .filter((item) => 'row' in item || item.leftOut !== first)
    .map((item) =>
      'row' in item
        ? `${item.row.offset === record.offset ? '>' : ' '} ${logLine(item.row.text, LINE_LIMIT)}`
        : gapText(item.leftOut),
    );
  return `${title}\n\n${markdownFence(lines.length > 0 ? lines.join('\n') : oneLine(record.line, LINE_LIMIT))}`;
}

function heals(run: RunReport): string {
  if (run.heals.length === 0) return '';
  const rows = run.heals.map((heal) => [
    `${markdownCode(oneLine(heal.name, NAME_LIMIT))} ${escapeMarkdown(oneLine(heal.title, LINE_LIMIT))}`,
    markdownCode(oneLine(heal.class, NAME_LIMIT)),
    `${heal.confidence.toFixed(2)}, ${seenText(heal)}`,
    `${heal.outcome}: ${escapeMarkdown(oneLine(heal.reason, LINE_LIMIT))}`,
    heal.resumed,
  ]);
  const command = patchCommand(run);
  const patch =
    command === undefined ? '' : `\n\nThe configuration’s changes: ${markdownCode(oneLine(command, NAME_LIMIT))}`;
  return table(['heal', 'for', 'confidence', 'outcome', 'went on by'], rows) + patch;
}

function checks(run: RunReport): string {
  if (run.checks.length === 0) return '';
  const signs = { pass: '✅ pass', fail: '❌ **fail**', skip: '➖ skip' } as const;
  const rows = run.checks
    .slice(0, CHECKS_LISTED)
    .map((check) => [
      signs[check.status],
      escapeMarkdown(oneLine(check.name, NAME_LIMIT)),
      markdownCode(oneLine(check.detail, LINE_LIMIT)),
      durationText(check.durationMs),
    ]);
  return table(['check', 'name', 'seen', 'took'], rows) + leftOut(run.checks.length - CHECKS_LISTED, 'check');
}

function phases(run: RunReport): string {
  if (run.phases.length === 0) return '';
  const rows = run.phases
    .slice(0, PHASES_LISTED)
    .map((phase) => [
      String(phase.attempt),
      markdownCode(oneLine(phase.name, NAME_LIMIT)),
      durationText(phase.durationMs),
    ]);
  return table(['attempt', 'phase', 'took'], rows) + leftOut(run.phases.length - PHASES_LISTED, 'phase');
}

function leftOut(count: number, noun: string): string {
  return count > 0 ? `\n\n… ${plural(count, noun)} left out` : '';
}

/** Cells are Markdown already. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
