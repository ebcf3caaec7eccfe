import type { Command } from 'commander';
import { FAILURE_CHECKPOINT } from '../domain/attempt.js';
import { NixproofError } from '../domain/error.js';
import { machineOf } from '../domain/names.js';
import type { RunReport } from '../domain/run.js';
import { nameOf } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

export function registerDebug(program: Command): void {
  program
    .command('debug')
    .description("reopen a kept run's machine where its installer failed: a shell there, or a command")
    .argument('<run>', 'a run that was tested with --keep failed or --keep always', nameOf('run'))
    .argument('[command...]', 'behind --')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      `
A machine that was frozen at its failure comes back as it was then, each time, whatever was done to it since. It goes on until
\`nixproof vm stop RUN\`.

Examples:
  nixproof test vm --keep failed
  nixproof debug vm-20261123-071500-ab12
  nixproof debug vm-20261123-071500-ab12 -- journalctl -b -n 50`,
    )
    .action((run: string, command: string[], options: CommonOptions) =>
      runCommand(options, (session) => debug(session, run, command)),
    );
}

async function debug(session: Session, id: string, command: readonly string[]): Promise<number> {
  const { findRun } = await import('./runs.js');
  const { registryOf } = await import('./vm/machines.js');
  const { logIn } = await import('./vm/ssh.js');
  const { machineFate } = await import('./machine-fate.js');
  const run = await findRun(session, id);
  const registry = await registryOf(session);
  const kept = machineOf(run);
  if (!(await registry.list()).some((machine) => machine.id === kept)) {
    throw new NixproofError('CONFIG_NOT_KEPT', await machineFate(session.layout, run), {
      hint: 'test again with --keep failed, then debug that run',
    });
  }
  await using machine = await registry.attach(kept, session);
  const frozen = (await machine.checkpoints?.list())?.some(({ name }) => name === FAILURE_CHECKPOINT) ?? false;
  if (frozen) await machine.checkpoints?.restore(FAILURE_CHECKPOINT, session);
  if (command.length === 0) await explain(session, run, frozen);
  return await logIn(machine, command, session);
}

async function explain(session: Session, run: RunReport, frozen: boolean): Promise<void> {
  const { oneLine } = await import('../reports/escape.js');
  const failure = run.failures.at(-1);
  if (failure) {
    session.say(`failed   ${failure.class} in phase ${oneLine(failure.phase, 80)}: ${oneLine(failure.reason, 200)}`);
    session.say(`line     ${oneLine(failure.line, 300)}`);
  }
  session.say(
    `machine  ${frozen ? 'as it was when the installer failed' : 'as it is now: it was not frozen at the failure'}`,
  );
  session.say(`remove   nixproof vm stop ${machineOf(run)}`);
}
