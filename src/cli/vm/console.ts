import type { Duplex } from 'node:stream';
import type { Command } from 'commander';
import { NixproofError } from '../../domain/error.js';
import { EXIT } from '../../domain/verdict.js';
import type { GuestConsole } from '../../machines/machine.js';
import { stripTerminal } from '../../reports/escape.js';
import { duration, nameOf } from '../options.js';
import { runCommand, type CommonOptions, type Session } from '../session.js';
import { attachKnown, requireAbility } from './machines.js';

interface ConsoleOptions extends CommonOptions {
  readonly timeout: number;
}

/** Ctrl-], as telnet and virsh have it: a byte no shell needs. */
const DETACH = 0x1d;
const MINUTE_MS = 60_000;

export function registerConsole(vm: Command): void {
  vm.command('console')
    .description("a root shell beside the network, on a machine's console; Ctrl-] leaves it")
    .argument('<machine>', '', nameOf('machine'))
    .argument('[command...]', 'behind --: run it there, print its output, end with its exit status')
    .option('--timeout <duration>', 'for a command', duration, MINUTE_MS)
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExamples:\n  nixproof vm console RUN\n  nixproof vm console RUN -- journalctl -b -u sshd')
    .action((id: string, command: string[], options: ConsoleOptions) =>
      runCommand(options, (session) => useConsole(session, id, command, options)),
    );
}

async function useConsole(
  session: Session,
  id: string,
  command: readonly string[],
  { timeout }: ConsoleOptions,
): Promise<number> {
  await using machine = await attachKnown(session, id);
  const console = requireAbility(machine, 'console');
  if (command.length === 0) return await attach(session, console);
  const { exitCode, stdout } = await console.exec(command, { signal: session.signal, timeoutMs: timeout });
  session.quote();
  session.print(process.stdout.isTTY ? stripTerminal(stdout) : stdout);
  return exitCode;
}

async function attach(session: Session, console: GuestConsole): Promise<number> {
  if (!process.stdin.isTTY || !console.attach) {
    throw new NixproofError('UNSUPPORTED_TERMINAL', 'a console by hand needs a terminal', {
      hint: 'give a command behind `--`, or run it from a terminal',
    });
  }
  const stream = await console.attach(session);
  session.progress('the console; Ctrl-] leaves it');
  process.stdin.setRawMode(true);
  try {
    await converse(stream, session.signal);
  } finally {
    process.stdin.setRawMode(false);
    process.stdin.pause();
    stream.destroy();
  }
  session.progress('\nleft the console; what runs there goes on');
  return EXIT.ok;
}

/** Until Ctrl-] is typed, the machine ends or the signal comes. The terminal is the user's own: control characters reach it. */
async function converse(stream: Duplex, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    process.stdin.on('data', (typed: Buffer) => {
      const end = typed.indexOf(DETACH);
      stream.write(end < 0 ? typed : typed.subarray(0, end));
      if (end >= 0) resolve();
    });
    process.stdin.once('end', resolve);
    stream.on('data', (shown: Buffer) => process.stdout.write(shown));
    stream.once('close', resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
