import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option, type Command } from 'commander';
import type { RunReport } from '../domain/run.js';
import type { SuiteReport } from '../domain/suite.js';
import { EXIT } from '../domain/verdict.js';
import { readIfThere, writeWhole } from '../host/files.js';
import { runFiles } from '../records/artifacts.js';
import type { ReportFormat } from '../reports/reporter.js';
import { withoutCommands } from './runner-log.js';
import { runCommand, type CommonOptions, type Session } from './session.js';
import { nameOf } from './options.js';
import { requireFileTarget } from './targets.js';

interface ReportOptions extends CommonOptions {
  readonly format: ReportFormat;
  readonly output?: string;
}

export function registerReport(program: Command): void {
  program
    .command('report')
    .description('the report of a run, or of a suite that has ended')
    .argument('<run>', 'a run or a suite', nameOf('run or suite'))
    .addOption(new Option('--format <format>').choices(['json', 'junit', 'html', 'markdown']).default('markdown'))
    .option('--output <file>', 'write it there instead of to standard output')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nExamples:\n  nixproof report RUN\n  nixproof report SUITE --format html --output suite.html\n  nixproof report RUN --format html --output report.html',
    )
    .action((run: string, options: ReportOptions) => runCommand(options, (session) => report(session, run, options)));
}

async function report(session: Session, id: string, { format, output }: ReportOptions): Promise<number> {
  const { findRun } = await import('./runs.js');
  const { recordedSuite } = await import('./suite-report.js');
  const suite = /^suite-/.test(id) ? await recordedSuite(session.layout, id) : undefined;
  const text = suite ? await suiteText(suite, format) : await runText(session, await findRun(session, id), format);
  if (output === undefined) show(session, text.endsWith('\n') ? text : `${text}\n`, format);
  else {
    await requireFileTarget('--output', output);
    await writeWhole(output, text);
    session.say(`wrote ${output}`);
  }
  return EXIT.ok;
}

/** Only Markdown is for people: a quotation would be none of the other documents. */
function show(session: Session, text: string, format: ReportFormat): void {
  if (format === 'markdown') session.quote();
  session.print(format === 'json' ? withoutCommands(text) : text);
}

/** Of a run whose logs were removed, the report as it was written when they were there. */
async function runText(session: Session, run: RunReport, format: ReportFormat): Promise<string> {
  const { reporters } = await import('../reports/index.js');
  const { reportSource } = await import('../reports/source.js');
  const files = runFiles(session.layout.runs, run.run);
  const render = () => reporters[format].render(reportSource(files, run));
  if (run.removedForRoomAt === undefined || format === 'json') return render();
  session.progress(
    `its logs were removed on ${run.removedForRoomAt.slice(0, 10)} to make room: this was written before`,
  );
  return (await readIfThere(files.report[format])) ?? render();
}

async function suiteText(suite: SuiteReport, format: ReportFormat): Promise<string> {
  const { renderSuiteHtml, renderSuiteJunit, renderSuiteMarkdown } = await import('../reports/index.js');
  switch (format) {
    case 'json':
      return JSON.stringify(suite, null, 2);
    case 'junit':
      return renderSuiteJunit(suite.runs);
    case 'markdown':
      return renderSuiteMarkdown(suite);
    case 'html':
      return renderSuiteHtml(suite, ({ artifacts }) =>
        artifacts === '' ? undefined : pathToFileURL(path.join(artifacts, 'report.html')).href,
      );
  }
}
