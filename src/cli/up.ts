import type { Command } from 'commander';
import { EXIT } from '../domain/verdict.js';
import { runCommand, type CommonOptions } from './session.js';

export function registerUp(program: Command): void {
  program
    .command('up')
    .description('the local stack in the foreground: server, worker, UI; Ctrl-C stops it in order')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nOther commands of the same NIXPROOF_HOME find and use it.\n\nExample:\n  nixproof up')
    .action((options: CommonOptions) =>
      runCommand(options, async (session) => {
        const { runUp } = await import('../stack/supervise/up.js');
        const { serverFromEnvironment } = await import('../temporal/server-address.js');
        const elsewhere = serverFromEnvironment();
        if (elsewhere) {
          session.progress(
            `TEMPORAL_ADDRESS names ${elsewhere.address}: other commands use that server, not this stack; a worker for it is \`nixproof worker\``,
          );
        }
        await runUp({
          layout: session.layout,
          work: session,
          onReady: ({ address, uiUrl }, holder) => {
            session.say(`server   ${address}`);
            session.say(`UI       ${uiUrl}`);
            session.say(holder === 'ours' ? 'Ctrl-C stops it' : 'held by another command; Ctrl-C leaves it');
          },
        });
        return EXIT.ok;
      }),
    );
  program
    .command('stack', { hidden: true })
    .description('the holder of the local stack, started by other commands')
    .action(() =>
      runCommand({}, async (session) => {
        const { runHolder } = await import('../stack/supervise/holder.js');
        await runHolder({ layout: session.layout, work: session });
        return EXIT.ok;
      }),
    );
}
