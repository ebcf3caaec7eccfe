import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

/** `approve` and `reject`: what a person says of a heal that waits for one. */
export function registerDecisions(program: Command): void {
  register(program, 'approve', 'let a heal that waits for a person be applied', true);
  register(program, 'reject', 'refuse a heal that waits for a person: the next one is looked for', false);
}

function register(program: Command, name: string, description: string, approve: boolean): void {
  program
    .command(name)
    .description(description)
    .argument('<run>', '', nameOf('run'))
    .argument('[heal]', 'its name, to be sure that it is the one you mean', nameOf('heal'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', `\nExample:\n  nixproof ${name} vm-20261123-071500-ab12 use-the-found-disk`)
    .action((run: string, heal: string | undefined, options: CommonOptions) =>
      runCommand(options, (session) => decideOn(session, run, heal, approve)),
    );
}

async function decideOn(session: Session, run: string, heal: string | undefined, approve: boolean): Promise<number> {
  const { useServer } = await import('./server.js');
  const { decide, queryRun } = await import('../client.js');
  await using server = await useServer(session);
  const report = await queryRun(server.link, run);
  if (!report) {
    throw new NixproofError('CONFIG_UNKNOWN_RUN', `there is no run ${run}`, { hint: 'see `nixproof status`' });
  }
  const { pending } = report;
  if (!pending || (heal !== undefined && heal !== pending.name)) {
    const waits = pending ? `it waits with ${pending.name}` : 'it waits for nobody';
    throw new NixproofError('CONFIG_NOT_PENDING', `run ${run} does not wait with ${heal ?? 'a heal'}: ${waits}`, {
      hint: `see \`nixproof status ${run}\``,
    });
  }
  await decide(server.link, run, { approve, heal: pending.name });
  session.say(`${approve ? 'approved' : 'rejected'} ${pending.name} of ${run}`);
  return EXIT.ok;
}
