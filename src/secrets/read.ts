import { readFile, stat } from 'node:fs/promises';
import { hasCode, NixproofError } from '../domain/error.js';
import type { SecretSource } from '../domain/profile.js';
import { fromHomeFolder } from '../host/paths.js';
import { runCommand } from '../host/process.js';
import { LEAST_SECRET_BYTES } from './redactor.js';

/** A password manager may ask a person first. */
const COMMAND_MS = 2 * 60_000;
/** What is larger is no secret but data, and would take long to be looked for in output. */
const MOST_BYTES = 16 * 1024;
const MOST_LINES = 200;

/** A secret's value on this host. */
export interface Secret {
  /** As its source has it: what a file of the installed system holds. */
  readonly whole: Buffer;
  /**
   * Without the newlines at its end: what a variable or an address holds, and what is looked for in
   * output.
   */
  readonly value: Buffer;
}

/**
 * Reads a secret on this host. No message, detail or cause holds anything of it.
 * @throws NixproofError `CONFIG_SECRET` if it cannot be had, is empty, too short to be recognised
 * in output, or too long
 */
export async function readSecret(name: string, source: SecretSource, signal: AbortSignal): Promise<Secret> {
  const whole = await bytesOf(name, source, signal);
  const value = withoutFinalNewlines(whole);
  if (value.length === 0) throw unfit(name, `is empty (${sourceText(source)})`, 'give it a value');
  if (value.length < LEAST_SECRET_BYTES) {
    throw unfit(
      name,
      `has fewer than ${LEAST_SECRET_BYTES} bytes (${sourceText(source)}): it could not be told from ordinary text in output`,
      'use a longer value',
    );
  }
  const lines = value.toString('latin1').split('\n').length;
  if (whole.length <= MOST_BYTES && lines <= MOST_LINES) return { whole, value };
  throw unfit(
    name,
    `has more than ${MOST_BYTES / 1024} KiB or ${MOST_LINES} lines (${sourceText(source)})`,
    'deploy data as a file, encrypted with a secret key',
  );
}

/** Where a secret comes from, in words without its value. */
export function sourceText(source: SecretSource): string {
  switch (source.kind) {
    case 'env':
      return `env ${source.name}`;
    case 'file':
      return `file ${source.path}`;
    case 'command':
      return `command ${source.argv[0] ?? ''}`;
  }
}

async function bytesOf(name: string, source: SecretSource, signal: AbortSignal): Promise<Buffer> {
  switch (source.kind) {
    case 'env': {
      const value = process.env[source.name];
      if (value !== undefined) return Buffer.from(value);
      throw unfit(
        name,
        `cannot be read: ${source.name} is not set in the worker's environment`,
        'set it where the worker is started: `nixproof up`, `nixproof worker`, or the command that starts the local stack',
      );
    }
    case 'file':
      return readSecretFile(name, source.path);
    case 'command':
      return printed(name, source, signal);
  }
}

/** @param written absolute, or from the home folder of this user where it begins with `~/` */
async function readSecretFile(name: string, written: string): Promise<Buffer> {
  const path = fromHomeFolder(written);
  try {
    // A device or a pipe would never end.
    if (!(await stat(path)).isFile()) throw Object.assign(new Error(), { code: 'it is not a file' });
    return await readFile(path);
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    throw unfit(
      name,
      `cannot be read from ${path}: ${code}`,
      'put the file on the host of the worker, readable for its user',
    );
  }
}

async function printed(
  name: string,
  { argv: [program = '', ...args], folder }: Extract<SecretSource, { kind: 'command' }>,
  signal: AbortSignal,
): Promise<Buffer> {
  try {
    const text = await runCommand(program, args, { cwd: folder, signal, timeoutMs: COMMAND_MS, group: true });
    // `runCommand` takes the last newline away, without which OpenSSH reads no key.
    return Buffer.from(`${text}\n`);
  } catch (error) {
    signal.throwIfAborted();
    // Its output may hold the secret: neither that nor its arguments are shown.
    const missing = hasCode(error, 'HOST_TOOL_MISSING');
    const status = error instanceof NixproofError ? Number(error.details['exitCode']) : NaN;
    const ended =
      status >= 0 ? `ended with exit status ${status}` : `did not end within ${COMMAND_MS / 60_000} minutes`;
    const why = missing ? 'is not installed' : ended;
    throw unfit(
      name,
      `cannot be read: its command ${program} ${why}`,
      'run the command by hand as the user of the worker',
    );
  }
}

/** Editors and `echo` end a file with a newline, which is no part of a secret. */
export function withoutFinalNewlines(bytes: Buffer): Buffer {
  let length = bytes.length;
  while (length > 0 && (bytes[length - 1] === 0x0a || bytes[length - 1] === 0x0d)) length--;
  return bytes.subarray(0, length);
}

function unfit(name: string, what: string, hint: string): NixproofError {
  return new NixproofError('CONFIG_SECRET', `the secret ${name} ${what}`, { hint, details: { secret: name } });
}
