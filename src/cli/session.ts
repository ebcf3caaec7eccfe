import { NixproofError, familyOf } from '../domain/error.js';
import { EXIT } from '../domain/verdict.js';
import type { Work } from '../domain/work.js';
import { codedErrorOf } from '../host/errno.js';
import { layoutOf, nixproofHome, type Layout } from '../host/paths.js';
import { stripTerminal } from '../reports/escape.js';
import { guardRunnerLog, withoutCommands, type RunnerLog } from './runner-log.js';

/** What every command is given: where things are, how to speak, and when to stop. */
export interface Session extends Work {
  readonly layout: Layout;
  /** Whether stdout carries one JSON document and nothing else. */
  readonly json: boolean;
  readonly colour: boolean;
  /** Where people look: stdout, or stderr where stdout is JSON's. */
  readonly people: NodeJS.WriteStream;
  /** Whether a live view may be drawn there. */
  readonly animated: boolean;
  /** One line for people. */
  say(line: string): void;
  /** The command's product. */
  print(text: string): void;
  /** A JSON document that is the command's product. */
  printJson(document: unknown, indent?: number): void;
  /** A product that is worth nothing where a byte of it differs. */
  printExact(text: string): void;
  /**
   * To be called before guests' text goes to standard output: nothing in it is a command of
   * GitHub's runner.
   */
  quote(): void;
}

export interface CommonOptions {
  readonly json?: boolean;
  readonly verbose?: boolean;
}

/** Aborted by the first Ctrl-C; the second one ends the process at once: what is durable goes on in the stack. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * Runs a command's body and ends the process with its exit code. A NixproofError becomes a message, its hint and the exit code
 * of its family; nothing else of it is shown without `--verbose`.
 */
export async function runCommand(options: CommonOptions, body: (session: Session) => Promise<number>): Promise<void> {
  const interrupt = new AbortController();
  const onSignal = () => {
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort(new Interrupted('interrupted'));
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  const log = guardRunnerLog();
  const session = createSession(options, log, interrupt.signal);
  try {
    requireNodeModules();
    process.exitCode = await body(session);
  } catch (error) {
    const interrupted = interrupt.signal.aborted;
    const shown = interrupted ? interruption() : codedErrorOf(error);
    process.exitCode = interrupted ? EXIT.interrupted : exitCodeOf(shown);
    complain(session, shown, options.verbose ?? false);
  }
  log.end();
  await drained();
  process.exit();
}

/**
 * Under Yarn's Plug'n'Play packages are files of archives, which the processes that nixproof starts
 * cannot read.
 */
function requireNodeModules(): void {
  if (process.versions['pnp'] === undefined) return;
  throw new NixproofError('UNSUPPORTED_PNP', "nixproof does not run from the archives of Yarn's Plug'n'Play", {
    hint: 'set `nodeLinker: node-modules` in .yarnrc.yml and run `yarn install`',
  });
}

function createSession({ json = false }: CommonOptions, log: RunnerLog, signal: AbortSignal): Session {
  const people = json ? process.stderr : process.stdout;
  const say = (line: string) => void people.write(`${line}\n`);
  return {
    layout: layoutOf(nixproofHome()),
    json,
    people,
    colour: people.isTTY && !process.env['NO_COLOR'] && process.env['TERM'] !== 'dumb',
    animated: mayDraw(people),
    signal,
    say,
    progress: (message) => void process.stderr.write(`${stripTerminal(message)}\n`),
    print: (text) => void process.stdout.write(text),
    printJson: (document, indent = 2) =>
      void process.stdout.write(`${withoutCommands(JSON.stringify(document, null, indent))}\n`),
    printExact: (text) => log.exact(text),
    quote: () => {
      if (!json) log.quote();
    },
  };
}

const INTERRUPTED = 'INTERNAL_INTERRUPTED';

/** Whether what was written may be drawn over. */
export function mayDraw(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY && process.env['TERM'] !== 'dumb' && !process.env['CI'];
}

function interruption(): NixproofError {
  return new NixproofError(INTERRUPTED, 'interrupted');
}

function exitCodeOf({ code }: NixproofError): number {
  const family = familyOf(code);
  return family === 'CONFIG' || family === 'UNSUPPORTED' ? EXIT.usage : EXIT.fault;
}

function complain(session: Session, error: NixproofError, verbose: boolean): void {
  const { code, message, hint, details } = error;
  if (session.json) session.printJson({ error: { code, message, hint, details } }, 0);
  const problems = details['problems'];
  const lines = Array.isArray(problems) ? (problems as string[]) : [message];
  for (const line of lines) process.stderr.write(`error: ${stripTerminal(line)}\n`);
  const tail = details['console'];
  if (Array.isArray(tail))
    process.stderr.write(
      `the console's last lines:\n${(tail as string[]).map((line) => `  ${stripTerminal(line)}\n`).join('')}`,
    );
  if (hint !== undefined) process.stderr.write(`hint: ${hint}\n`);
  // What docs/troubleshooting.md lists.
  if (code !== INTERRUPTED) process.stderr.write(`code: ${code}\n`);
  if (verbose) process.stderr.write(stripTerminal(`${error.stack ?? ''}\n${causes(error)}`));
}

function causes(error: Error): string {
  return error.cause instanceof Error
    ? `caused by ${error.cause.stack ?? error.cause.message}\n${causes(error.cause)}`
    : '';
}

/** Everything written so far has left the process: `process.exit` would cut off a pipe. */
async function drained(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise((resolve) => stream.write('', resolve));
  }
}
