import { stat } from 'node:fs/promises';
import { NixproofError } from '../../domain/error.js';
import type { ExistingMachine, PowerCommand } from '../../domain/profile.js';
import { runCommand } from '../../host/process.js';
import type { Work } from '../machine.js';

/** For whom and what for a command runs. */
export interface Occasion {
  readonly run: string;
  /** Which system the machine is to boot: the pristine one, or what was installed on its disk. */
  readonly boot: 'live' | 'disk';
}

/**
 * Runs one of a machine's commands on this host, in the configuration's folder, with the worker's environment and what is
 * said of the machine in `NIXPROOF_MACHINE_*`. Does nothing where the machine has no such command.
 * @throws NixproofError `MACHINE_COMMAND_FAILED` with the end of its output
 */
export async function runPowerCommand(
  host: ExistingMachine,
  command: PowerCommand,
  occasion: Occasion,
  { signal, progress }: Work,
): Promise<void> {
  const script = host.commands[command];
  if (script === undefined) return;
  await requireFolder(host, command);
  progress(`${host.name}: ${command}`);
  const limit = AbortSignal.timeout(host.commandTimeoutMs);
  try {
    await runCommand('sh', ['-c', script], {
      cwd: host.folder,
      env: environmentOf(host, occasion),
      signal: AbortSignal.any([signal, limit]),
      group: true,
      onLine: (line) => progress(`${host.name}: ${command}: ${line}`),
    });
  } catch (error) {
    signal.throwIfAborted();
    if (limit.aborted) throw failed(host, command, `it did not end within ${host.commandTimeoutMs / 1000} s`, -1);
    if (!(error instanceof NixproofError)) throw error;
    throw failed(host, command, error.message.replace(/^sh failed: /, ''), Number(error.details['exitCode'] ?? -1));
  }
}

/** Not the command itself is told, for it may hold what is nobody's business. */
function failed({ name, folder }: ExistingMachine, command: PowerCommand, output: string, exitCode: number) {
  return new NixproofError('MACHINE_COMMAND_FAILED', `the ${command} command of ${name} failed: ${output}`, {
    hint: `run machines.${name}.${command} by hand in ${folder}, with NIXPROOF_MACHINE_NAME=${name} in the environment`,
    details: { machine: name, command, exitCode, output: output.split('\n') },
  });
}

async function requireFolder(host: ExistingMachine, command: PowerCommand): Promise<void> {
  const found = await stat(host.folder).catch(() => undefined);
  if (!found?.isDirectory()) throw failed(host, command, `there is no folder ${host.folder} on this host`, -1);
}

function environmentOf({ name, address, port, user }: ExistingMachine, { run, boot }: Occasion) {
  return {
    NIXPROOF_MACHINE_NAME: name,
    NIXPROOF_MACHINE_ADDRESS: address,
    NIXPROOF_MACHINE_PORT: String(port),
    NIXPROOF_MACHINE_USER: user,
    NIXPROOF_MACHINE_BOOT: boot,
    NIXPROOF_RUN: run,
  };
}
