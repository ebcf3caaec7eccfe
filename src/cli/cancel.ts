import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import type { RunReport } from '../domain/run.js';
import { EXIT } from '../domain/verdict.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerCancel(program: Command): void {
  program
    .command('cancel')
    .description(
      'end a run or a suite: its installer is stopped, its machine released, its report written; once more: without waiting for that',
    )
    .argument('<run>', 'a run or a suite', nameOf('run or suite'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof cancel vm-20261123-071500-ab12')
    .action((id: string, options: CommonOptions) => runCommand(options, (session) => cancelRun(session, id)));
}

async function cancelRun(session: Session, id: string): Promise<number> {
  const { useServer } = await import('./server.js');
  const { cancel, describeWorkflow, isCancelling, signalAll, waitFor } = await import('../client.js');
  await using server = await useServer(session);
  const found = await describeWorkflow(server.link, id);
  if (!found) {
    const recorded = await recordOf(session, id);
    if (recorded && recorded.verdict !== null) {
      session.say(`${id} has ended already`);
      return EXIT.ok;
    }
    if (recorded && server.isLocal) return await endForgotten(session, recorded);
    throw new NixproofError('CONFIG_UNKNOWN_RUN', `there is no run or suite ${id}`, { hint: 'see `nixproof status`' });
  }
  if (await isCancelling(server.link, id)) {
    session.progress(`${id} is being cancelled already: forcing it`);
    await signalAll(server.link, found, 'force');
  } else if (!(await cancel(server.link, id))) {
    session.say(`${id} has ended already`);
    return EXIT.ok;
  }
  session.progress(`cancelling ${id}`);
  const outcome = await waitFor(server.link, found);
  session.say(`${id}: ${outcome.verdict}`);
  return EXIT.ok;
}

async function recordOf({ layout }: Session, id: string): Promise<RunReport | undefined> {
  const { readRunReport } = await import('../records/artifacts.js');
  return readRunReport(layout.runs, id);
}

/**
 * Ends the record of a run that this home's server does not have, because its database was removed: no
 * workflow would ever write a verdict.
 */
async function endForgotten(session: Session, recorded: RunReport): Promise<number> {
  const { runFiles, writeRunReport } = await import('../records/artifacts.js');
  const note = 'cancelled without its workflow, which the Temporal server did not have any more';
  const notes = [...recorded.notes, note];
  const files = runFiles(session.layout.runs, recorded.run);
  await writeRunReport(files, { ...recorded, verdict: 'cancelled', state: 'done', notes });
  session.say(`${recorded.run}: cancelled; its machine goes with \`nixproof cleanup\``);
  return EXIT.ok;
}
