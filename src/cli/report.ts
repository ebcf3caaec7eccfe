import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option, type Command } from 'commander';
import type { SuiteReport } from '../domain/suite.js';
import { EXIT } from '../domain/verdict.js';
import { writeWhole } from '../host/files.js';
import { runFiles } from '../records/artifacts.js';
import type { ReportFormat } from '../reports/reporter.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface ReportOptions extends CommonOptions {
  readonly format: ReportFormat;
  readonly output?: string;
}

export function registerReport(program: Command): void {
  program
    .command('report')
    .description('the report of a run, or of a suite that has ended')
    .argument('<run>', 'a run or a suite')
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
  const { reporters } = await import('../reports/index.js');
  const { reportSource } = await import('../reports/source.js');
  const suite = /^suite-/.test(id) ? await recordedSuite(session.layout, id) : undefined;
  const text = suite
    ? await suiteText(suite, format)
    : await reporters[format].render(reportSource(runFiles(session.layout.runs, id), await findRun(session, id)));
  if (output === undefined) session.print(text.endsWith('\n') ? text : `${text}\n`);
  else {
    await writeWhole(output, text);
    session.say(`wrote ${output}`);
  }
  return EXIT.ok;
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
