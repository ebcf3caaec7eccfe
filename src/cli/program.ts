import { Command } from 'commander';
import { version } from '../host/version.js';
import { registerCancel } from './cancel.js';
import { registerCleanup } from './cleanup.js';
import { registerCompletion } from './completion.js';
import { registerDebug } from './debug.js';
import { registerDecisions } from './decide.js';
import { registerDiagnose } from './diagnose.js';
import { registerDoctor } from './doctor.js';
import { registerHosts } from './hosts.js';
import { registerInit } from './init.js';
import { registerLogs } from './logs.js';
import { registerPatch } from './patch.js';
import { registerPauses } from './pause.js';
import { registerRecords } from './records.js';
import { registerReport } from './report.js';
import { registerSchedule } from './schedule.js';
import { registerSetup } from './setup.js';
import { registerStats } from './stats.js';
import { registerStatus } from './status.js';
import { registerTest } from './test.js';
import { registerUp } from './up.js';
import { registerVm } from './vm.js';
import { registerWatch } from './watch.js';
import { registerWorker } from './worker.js';

/** The commands in the order `--help` lists them. */
const COMMANDS = [
  registerTest,
  registerWatch,
  registerStatus,
  registerLogs,
  registerReport,
  registerPatch,
  registerDiagnose,
  registerDecisions,
  registerDebug,
  registerPauses,
  registerCancel,
  registerStats,
  registerSchedule,
  registerRecords,
  registerSetup,
  registerVm,
  registerUp,
  registerWorker,
  registerHosts,
  registerDoctor,
  registerInit,
  registerCleanup,
  registerCompletion,
];

/** The whole command line; parsing runs it. */
export function createProgram(): Command {
  const program = new Command('nixproof')
    .description('proves that an operating-system configuration still installs')
    .version(version)
    .showHelpAfterError('(add --help for the options)')
    .configureHelp({ sortSubcommands: false })
    .exitOverride();
  for (const register of COMMANDS) register(program);
  exitOverrideAll(program);
  return program;
}

/** Commander ends the process by itself with 1; usage errors are 2 here, in subcommands too. */
function exitOverrideAll(command: Command): void {
  command.exitOverride();
  for (const sub of command.commands) exitOverrideAll(sub);
}
