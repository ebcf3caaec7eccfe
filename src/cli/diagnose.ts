import type { Command } from 'commander';
import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { NixproofError } from '../domain/error.js';
import type { Diagnosis } from '../domain/diagnosis.js';
import { EXIT } from '../domain/verdict.js';
import { isErrno } from '../host/files.js';
import { runCommand, type CommonOptions, type Session } from './session.js';

/** Why a file cannot be read: the user's to correct. */
const UNREADABLE = ['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES'];

export function registerDiagnose(program: Command): void {
  program
    .command('diagnose')
    .description('why an installation failed, from its log alone')
    .argument('<file>', 'a log of any kind, or - for standard input')
    .option('--json', 'one JSON document on standard output')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nNo server is needed. Exit status 0, whether or not a failure was found.\n\nExamples:\n  nixproof diagnose install.log\n  journalctl -b | nixproof diagnose - --json',
    )
    .action((file: string, options: CommonOptions) => runCommand(options, (session) => diagnose(session, file)));
}

async function diagnose(session: Session, file: string): Promise<number> {
  const diagnoses = await read(file, session.signal);
  const { clip, logLine } = await import('../reports/escape.js');
  const { healsFor } = await import('../healing/catalogue/index.js');
  const healsOf = (diagnosis: Diagnosis) => healsFor(diagnosis.class).map(({ name }) => name);
  if (session.json) {
    session.printJson({ diagnoses: diagnoses.map((one) => asJson(one, healsOf(one))) }, 0);
    return EXIT.ok;
  }
  session.quote();
  const lines = diagnoses.flatMap((diagnosis) => [
    `${diagnosis.class}  (confidence ${diagnosis.confidence.toFixed(2)})`,
    ...(diagnosis.why === '' ? [] : [`  ${clip(logLine(diagnosis.why), 300)}`]),
    ...diagnosis.evidence.map(
      (line, index) => `  ${(index === 0 ? `line ${diagnosis.line + 1}` : '').padEnd(12)} ${logLine(line, 300)}`,
    ),
    ...(healsOf(diagnosis).length === 0 ? [] : [`  ${'heals'.padEnd(12)} ${healsOf(diagnosis).join(', ')}`]),
    '',
  ]);
  session.print(lines.length === 0 ? 'nothing in this log says that anything failed\n' : lines.join('\n'));
  return EXIT.ok;
}

async function read(file: string, signal: AbortSignal): Promise<readonly Diagnosis[]> {
  const { CHUNK_BYTES, diagnoseLog } = await import('../diagnosis/diagnose-log.js');
  const input: Readable = file === '-' ? process.stdin : createReadStream(file, { highWaterMark: CHUNK_BYTES });
  const stop = () => input.destroy(signal.reason as Error);
  signal.addEventListener('abort', stop);
  try {
    return await diagnoseLog(input as AsyncIterable<Buffer>);
  } catch (error) {
    if (!UNREADABLE.some((code) => isErrno(error, code))) throw error;
    throw new NixproofError('CONFIG_NO_LOG', `${file} cannot be read`, {
      hint: 'give the path of a log, or - for standard input',
      cause: error,
    });
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** The shape that docs/cli.md promises. `line` counts from 0; a log alone does not tell which of the heals can help. */
function asJson({ class: failureClass, confidence, line, evidence, why }: Diagnosis, heals: readonly string[]) {
  return { class: failureClass, confidence, line, evidence, why, heals };
}
