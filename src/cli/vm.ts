import type { Command } from 'commander';
import { NixproofError, messageOf } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import { runCommand, type CommonOptions, type Session } from './session.js';
import { registerVmCleanup } from './vm/cleanup.js';
import { registerConsole } from './vm/console.js';
import { registerDeploy } from './vm/deploy.js';
import { attachKnown, registryOf, registryOfKnown, requireIdle } from './vm/machines.js';
import { registerScreenshot } from './vm/screenshot.js';
import { logIn } from './vm/ssh.js';
import { nameOf, namesOf } from './options.js';
import { registerClean, registerStart } from './vm/start.js';

interface StopOptions extends CommonOptions {
  readonly force?: boolean;
}

export function registerVm(program: Command): void {
  const vm = program.command('vm').description("this host's machines by hand");
  vm.command('list')
    .description('every machine, what it is, and the space it takes')
    .option('--json', 'print a JSON array')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof vm list\n  nixproof vm list --json | jq .[].id')
    .action((options: CommonOptions) => runCommand(options, listMachines));
  registerStart(vm);
  registerClean(vm);
  registerDeploy(vm);
  vm.command('ip')
    .description('where a machine answers SSH')
    .argument('<machine>', 'a machine; a test’s has the name of its run', nameOf('machine'))
    .option('--json', 'print JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof vm ip RUN')
    .action((id: string, options: CommonOptions) => runCommand(options, (session) => showAddress(session, id)));
  vm.command('ssh')
    .description('a shell in a machine, or a command there')
    .argument('<machine>', '', nameOf('machine'))
    .argument('[command...]', 'behind --')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof vm ssh RUN\n  nixproof vm ssh RUN -- lsblk')
    .action((id: string, command: string[], options: CommonOptions) =>
      runCommand(options, (session) => logInTo(session, id, command)),
    );
  registerConsole(vm);
  registerScreenshot(vm);
  vm.command('stop')
    .description('destroy machines and all they have on this host')
    .argument('<machines...>', '', namesOf('machine'))
    .option(
      '--force',
      "also those of runs that have not ended: such a run's installer is lost, and it begins again or fails",
    )
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof vm stop lab\n  nixproof vm stop RUN --force')
    .action((ids: string[], options: StopOptions) =>
      runCommand(options, (session) => stopMachines(session, ids, options)),
    );
  registerVmCleanup(vm);
}

async function listMachines(session: Session): Promise<number> {
  const machines = await (await registryOf(session)).list();
  if (session.json) {
    session.printJson(machines);
    return EXIT.ok;
  }
  const { bytesText } = await import('../reports/quantities.js');
  if (machines.length === 0) session.say('no machines');
  for (const { id, driver, base, state, diskBytes } of machines) {
    session.say([id, driver, base ?? '-', state, bytesText(diskBytes)].join('  '));
  }
  return EXIT.ok;
}

async function showAddress(session: Session, id: string): Promise<number> {
  await using machine = await attachKnown(session, id);
  if (machine.info.driver === 'sandbox') {
    throw new NixproofError('UNSUPPORTED_ADDRESS', 'a sandbox answers only while a command of ours serves it', {
      hint: `use \`nixproof vm ssh ${id}\``,
    });
  }
  const { host, port, user, keyFile } = await machine.endpoint();
  if (session.json) session.printJson({ host, port, user, keyFile }, 0);
  else session.print(`${host}:${port}\n`);
  return EXIT.ok;
}

async function logInTo(session: Session, id: string, command: readonly string[]): Promise<number> {
  await using machine = await attachKnown(session, id);
  return await logIn(machine, command, session);
}

async function stopMachines(session: Session, ids: readonly string[], { force }: StopOptions): Promise<number> {
  const registry = await registryOfKnown(session, ids);
  if (!force) for (const id of ids) await requireIdle(session, id, ', or give `--force`');
  const { recordRemoval } = await import('../records/machine-removed.js');
  let exit: number = EXIT.ok;
  for (const id of ids) {
    try {
      await registry.destroy(id, session);
      await recordRemoval(session.layout, id, 'nixproof vm stop');
      session.say(`destroyed ${id}`);
    } catch (error) {
      session.signal.throwIfAborted();
      session.progress(`could not destroy ${id}: ${messageOf(error)}`);
      exit = EXIT.fault;
    }
  }
  return exit;
}
