import type { Command } from 'commander';
import { EXIT } from '../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerRecords(program: Command): void {
  const records = program.command('records').description('the index over all recorded runs');
  records
    .command('rebuild')
    .description("read every run's folder into the index again")
    .option('--json', 'print what it holds as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof records rebuild')
    .action((options: CommonOptions) => runCommand(options, rebuild));
}

async function rebuild(session: Session): Promise<number> {
  const { openRunIndex, runIndexFile } = await import('../history/run-index.js');
  const { TABLES } = await import('../history/index-tables.js');
  await using index = await openRunIndex(session.layout, session.progress, { everyRun: true });
  const rows = Object.fromEntries(
    TABLES.map(({ name }) => [name, Number(index.all(`SELECT count(*) AS n FROM ${name}`)[0]?.['n'])]),
  );
  const file = runIndexFile(session.layout);
  if (session.json) session.printJson({ file, rows });
  session.say(
    `${file}: ${Object.entries(rows)
      .map(([name, count]) => `${count} ${name}`)
      .join(', ')}`,
  );
  return EXIT.ok;
}
