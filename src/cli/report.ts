import { Option, type Command } from 'commander';
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
    .description("a run's report")
    .argument('<run>')
    .addOption(new Option('--format <format>').choices(['json', 'junit', 'html', 'markdown']).default('markdown'))
    .option('--output <file>', 'write it there instead of to standard output')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nExamples:\n  nixproof report RUN\n  nixproof report RUN --format html --output report.html',
    )
    .action((run: string, options: ReportOptions) => runCommand(options, (session) => report(session, run, options)));
}

async function report(session: Session, id: string, { format, output }: ReportOptions): Promise<number> {
  const { findRun } = await import('./runs.js');
  const { reporters } = await import('../reports/index.js');
  const { reportSource } = await import('../reports/source.js');
  const run = await findRun(session, id);
  const text = await reporters[format].render(reportSource(runFiles(session.layout.runs, id), run));
  if (output === undefined) session.print(text.endsWith('\n') ? text : `${text}\n`);
  else {
    await writeWhole(output, text);
    session.say(`wrote ${output}`);
  }
  return EXIT.ok;
}
