import type { Command } from 'commander';
import { NixproofError } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

/** `pause` and `resume`: whether a run or a suite begins its next step. */
export function registerPauses(program: Command): void {
  register(program, 'pause', 'hold a run or a suite before its next step; what it does now goes on to its end');
  register(program, 'resume', 'let a paused run or suite go on');
}

function register(program: Command, name: 'pause' | 'resume', description: string): void {
  program
    .command(name)
    .description(description)
    .argument('<run>', 'a run or a suite', nameOf('run or suite'))
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', `\nExample:\n  nixproof ${name} vm-20261123-071500-ab12`)
    .action((id: string, options: CommonOptions) => runCommand(options, (session) => hold(session, id, name)));
}

async function hold(session: Session, id: string, name: 'pause' | 'resume'): Promise<number> {
  const { useServer } = await import('./server.js');
  const { describeWorkflow, signalAll } = await import('../client.js');
  await using server = await useServer(session);
  const found = await describeWorkflow(server.link, id);
  if (!found)
    throw new NixproofError('CONFIG_UNKNOWN_RUN', `there is no run or suite ${id}`, { hint: 'see `nixproof status`' });
  const reached = await signalAll(server.link, found, name);
  if (reached === 0) session.say(`${id} has ended already`);
  else session.say(name === 'pause' ? `${id} holds before its next step` : `${id} goes on`);
  return EXIT.ok;
}
