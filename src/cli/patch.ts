import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { readIfThere } from '../host/files.js';
import { readRunReport, runFiles } from '../records/artifacts.js';
import { stripTerminal } from '../reports/escape.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerPatch(program: Command): void {
  program
    .command('patch')
    .description("what a run's heals changed in the configuration, as a unified diff")
    .argument('<run>', '', nameOf('run'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nIts paths are relative to the folder that was deployed (`deploy.from`).\n\nExamples:\n  nixproof patch RUN\n  nixproof patch RUN | git apply',
    )
    .action((run: string, options: CommonOptions) => runCommand(options, (session) => patch(session, run)));
}

async function patch(session: Session, id: string): Promise<number> {
  const { findRun } = await import('./runs.js');
  const run = await findRun(session, id);
  const text = await readIfThere(runFiles(session.layout.runs, id).patch);
  if (text !== undefined) {
    if (process.stdout.isTTY) session.print(stripTerminal(text));
    else session.printExact(text);
    return EXIT.ok;
  }
  const elsewhere = (await readRunReport(session.layout.runs, id)) === undefined && run.host !== undefined;
  const why = run.verdict === null ? 'it has not ended' : 'no heal that worked changed the configuration';
  throw new NixproofError('CONFIG_NO_PATCH', `run ${id} has no patch: ${why}`, {
    hint: elsewhere ? `it ran on host ${run.host}; its patch would be there` : `see \`nixproof status ${id}\``,
  });
}
