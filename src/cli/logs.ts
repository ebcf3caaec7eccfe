import { Option, type Command } from 'commander';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { NixproofError } from '../domain/error.js';
import { machineOf } from '../domain/names.js';
import type { RunReport } from '../domain/run.js';
import { EXIT } from '../domain/verdict.js';
import { isErrno } from '../host/files.js';
import { runFiles } from '../records/artifacts.js';
import { nameOf, wholeNumber } from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

interface LogsOptions extends CommonOptions {
  readonly follow?: boolean;
  readonly console?: boolean;
  readonly attempt?: number;
  readonly format: 'text' | 'events';
}

const FOLLOW_MS = 250;
/** How often it is asked whether the run goes on. */
const LOOK_MS = 2000;

export function registerLogs(program: Command): void {
  program
    .command('logs')
    .description("a run's installer log, or its machine's serial console")
    .argument('<run>', '', nameOf('run'))
    .option('--follow', 'wait for more until the run ends')
    .option('--attempt <n>', 'which attempt; default: the last', wholeNumber)
    .addOption(
      new Option('--format <format>', 'the bytes as they came, or one event a line')
        .choices(['text', 'events'])
        .default('text'),
    )
    .option('--console', 'the serial console instead, each line with the time it came')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nOn a terminal, control characters of the guest are left out; a pipe gets every byte. In GitHub Actions, what the runner would obey is broken unless it goes to a file.\n\nExamples:\n  nixproof logs RUN | less\n  nixproof logs RUN --follow --format events | jq .type\n  nixproof logs RUN --console',
    )
    .action((run: string, options: LogsOptions) => runCommand(options, (session) => logs(session, run, options)));
}

async function logs(session: Session, run: string, options: LogsOptions): Promise<number> {
  if (options.format === 'text') session.quote();
  const { findRun } = await import('./runs.js');
  const report = await findRun(session, run);
  if (options.console) return showConsole(session, report);
  if (options.follow && report.verdict === null) return follow(session, report, options);
  const attempt = options.attempt ?? Math.max(1, report.attempts);
  try {
    await pipeline(
      createReadStream(fileOf(session, run, attempt, options)),
      async function* (chunks) {
        for await (const chunk of chunks) yield await shown(chunk as Buffer);
      },
      process.stdout,
      { end: false },
    );
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error;
    throw noAttempt(report, attempt);
  }
  return EXIT.ok;
}

function fileOf({ layout }: Session, run: string, attempt: number, { format }: LogsOptions): string {
  const files = runFiles(layout.runs, run).attempt(attempt);
  return format === 'text' ? files.log : files.events;
}

/** What is in the run's folder at its end, and until then what its machine has on this host. */
async function showConsole(session: Session, report: RunReport): Promise<number> {
  const { timedLines } = await import('../records/console-times.js');
  const { logLine } = await import('../reports/escape.js');
  const { machineFolder } = await import('../machines/record.js');
  const files = runFiles(session.layout.runs, report.run);
  const going = path.join(machineFolder(session.layout, machineOf(report)), path.basename(files.console));
  const bytes = await readFile(files.console).catch(() => readFile(going).catch(() => undefined));
  if (!bytes) {
    throw noLog(
      report,
      'serial console',
      report.host === undefined ? 'it has no machine yet' : `driver ${report.driver}, host ${report.host}`,
    );
  }
  for (const { at, text } of timedLines(bytes, await readFile(files.consoleTimes, 'utf8').catch(() => ''))) {
    session.print(
      `${at === undefined ? '-'.padEnd(24) : new Date(at).toISOString()}  ${process.stdout.isTTY ? logLine(text, Infinity) : text}\n`,
    );
  }
  return EXIT.ok;
}

/** @param hint why it may not be here, where it was not removed */
function noLog({ run, removedForRoomAt }: RunReport, what: string, hint: string): NixproofError {
  if (removedForRoomAt === undefined)
    return new NixproofError('CONFIG_NO_LOG', `run ${run} has no ${what} on this host`, { hint });
  return new NixproofError(
    'CONFIG_LOG_REMOVED',
    `the logs of run ${run} were removed on ${removedForRoomAt.slice(0, 10)} to make room`,
    { hint: `see \`nixproof report ${run}\`; to keep more, set NIXPROOF_MAX_ARTIFACTS` },
  );
}

function noAttempt(report: RunReport, attempt: number): NixproofError {
  const hint = report.host === undefined ? 'it has not started its installer' : `it ran on host ${report.host}`;
  return noLog(report, `log of attempt ${attempt}`, hint);
}

/** Guest bytes for where they go: all of them to a pipe, no control characters to a terminal. */
async function shown(chunk: Buffer): Promise<Buffer | string> {
  if (!process.stdout.isTTY) return chunk;
  const { logLine } = await import('../reports/escape.js');
  return chunk
    .toString('utf8')
    .split('\n')
    .map((line) => logLine(line, Infinity))
    .join('\n');
}

/** The log of one attempt, or of the newest and each that comes after it, until the run ends. */
async function follow(session: Session, begun: RunReport, options: LogsOptions): Promise<number> {
  const { createFileTail } = await import('./live/event-tail.js');
  const { findRun } = await import('./runs.js');
  let report = begun;
  let attempt = options.attempt ?? Math.max(1, report.attempts);
  let found = false;
  const copyOf = (number: number) => {
    const tail = createFileTail(fileOf(session, begun.run, number, options));
    return () =>
      tail(async (chunk) => {
        const text = await shown(chunk);
        await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()));
      });
  };
  let copy = copyOf(attempt);
  for (let looked = 0, ended = false; !ended;) {
    if (session.signal.aborted) return EXIT.interrupted;
    if (performance.now() - looked > LOOK_MS) {
      report = await findRun(session, begun.run);
      ended = report.verdict !== null;
      looked = performance.now();
    }
    found = (await copy()) || found;
    while (options.attempt === undefined && report.attempts > attempt) {
      attempt += 1;
      session.progress(`attempt ${attempt}`);
      copy = copyOf(attempt);
      found = (await copy()) || found;
    }
    if (!ended) await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
  }
  if (!found) throw noAttempt(report, attempt);
  return EXIT.ok;
}
