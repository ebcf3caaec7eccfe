import type { Command } from 'commander';
import type { RunReport } from '../domain/run.js';
import { sourceText } from '../domain/source.js';
import { EXIT } from '../domain/verdict.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

/** How many runs the table shows; JSON has them all. */
const SHOWN = 20;

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('runs now and lately, or one run in full')
    .argument('[run]', '', nameOf('run'))
    .option('--json', 'print JSON: an array, or one run object')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof status\n  nixproof status vm-20261123-071500-ab12 --json')
    .action((run: string | undefined, options: CommonOptions) =>
      runCommand(options, (session) => status(session, run)),
    );
}

async function status(session: Session, run: string | undefined): Promise<number> {
  session.quote();
  const { findRun, findRuns } = await import('./runs.js');
  if (run === undefined) {
    const runs = await findRuns(session);
    if (session.json) session.printJson(runs);
    else session.print(await table(runs.slice(0, SHOWN)));
    return EXIT.ok;
  }
  const report = await findRun(session, run);
  if (session.json) session.printJson(report);
  else session.print(await inFull(session, report));
  return EXIT.ok;
}

async function table(runs: readonly RunReport[]): Promise<string> {
  const { durationText } = await import('../reports/quantities.js');
  const { lookOf } = await import('../reports/outcome.js');
  const { textTable } = await import('../reports/text-table.js');
  if (runs.length === 0) return 'no runs yet: `nixproof test` starts one\n';
  const rows = runs.map(({ run, verdict, state, driver, startedAt, durationMs }) => [
    `${lookOf(verdict).sign} ${verdict ?? 'running'}`,
    run,
    driver,
    verdict === null ? state : durationText(durationMs),
    startedAt.slice(0, 19).replace('T', ' '),
  ]);
  return textTable(rows);
}

async function inFull(session: Session, report: RunReport): Promise<string> {
  const { renderTerminalSummary } = await import('../reports/index.js');
  const { oneLine } = await import('../reports/escape.js');
  const { durationText } = await import('../reports/quantities.js');
  const phases = report.phases.map(
    ({ name, durationMs, attempt }) => `  ${oneLine(name)}  ${durationText(durationMs)}  (attempt ${attempt})\n`,
  );
  const checks = report.checks.map(
    ({ name, status: how, detail }) => `  ${how === 'pass' ? '✓' : '✗'} ${oneLine(name)}  ${oneLine(detail, 120)}\n`,
  );
  const notes = report.notes.map((note) => `  ${oneLine(note)}\n`);
  const summary = renderTerminalSummary([report], { colour: session.colour, reportOf: ({ artifacts }) => artifacts });
  const source = report.source === undefined ? '' : `  source    ${oneLine(sourceText(report.source), 300)}\n`;
  return [summary, source, report.verdict === null ? `  ${report.state}\n` : '', ...phases, ...checks, ...notes].join(
    '',
  );
}
