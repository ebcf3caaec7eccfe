import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT, exitCodeOf } from '../domain/verdict.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerWatch(program: Command): void {
  program
    .command('watch')
    .description('attach to a running test; Ctrl-C detaches, the test goes on')
    .argument('<run>', 'a run or a suite', nameOf('run or suite'))
    .option('--json', 'print the result as JSON when it has ended')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof watch vm-20261123-071500-ab12')
    .action((id: string, options: CommonOptions) => runCommand(options, (session) => watch(session, id)));
}

async function watch(session: Session, id: string): Promise<number> {
  const { useServer } = await import('./server.js');
  const { describeWorkflow, waitFor } = await import('../client.js');
  const { watchRuns } = await import('./live/watch-runs.js');
  const { suiteReport } = await import('./results.js');
  await using server = await useServer(session);
  const found = await describeWorkflow(server.link, id);
  if (!found)
    throw new NixproofError('CONFIG_UNKNOWN_RUN', `there is no run or suite ${id}`, { hint: 'see `nixproof status`' });
  const watching = watchRuns(session, server.link, found.runs, found.kind === 'suite' ? found.id : undefined);
  const detached = new Promise<undefined>((resolve) =>
    session.signal.addEventListener('abort', () => resolve(undefined), { once: true }),
  );
  let outcome;
  try {
    outcome = await Promise.race([waitFor(server.link, found), detached]);
  } finally {
    await watching.stop();
  }
  if (!outcome) {
    await server.holdFor(found.suite);
    session.say(`detached: ${id} goes on`);
    return EXIT.interrupted;
  }
  const { withComparison } = await import('./suite-report.js');
  const report = await withComparison(session, await suiteReport(server.link, session.layout, outcome));
  if (session.json) session.printJson(report);
  else {
    const { renderTerminalSummary } = await import('../reports/index.js');
    session.print(
      `\n${renderTerminalSummary(report.runs, { colour: session.colour, reportOf: (run) => run.artifacts })}`,
    );
  }
  return exitCodeOf(outcome.verdict, false);
}
