import { NixproofError } from '../domain/error.js';
import type { ExecResult } from './machine.js';

/**
 * What shells, and programs that start others, say of a program that they do not find (POSIX: with
 * exit status 127).
 */
const NOT_FOUND: readonly RegExp[] = [
  /command not found: (\S+)$/m, // zsh
  /(?<![^\s:])([^\s:]{1,255}): (?:command )?not found$/m, // dash, bash, busybox
  /(?<![^\s:])([^\s:]{1,255}): No such file or directory$/m, // bash of a path, setsid, env
  /^spawn (\S+) ENOENT$/m, // the sandbox's SSH server
];

/**
 * Names the program whose absence ended a command.
 * @throws NixproofError `MACHINE_TOOL_MISSING`
 */
export function requirePrograms({ exitCode, stderr }: Pick<ExecResult, 'exitCode' | 'stderr'>): void {
  if (exitCode !== 127) return;
  const program = NOT_FOUND.map((pattern) => pattern.exec(stderr)?.[1]).find((name) => name !== undefined);
  if (program === undefined) return;
  throw new NixproofError('MACHINE_TOOL_MISSING', `${program} is not installed in the machine`, {
    hint: `install ${program} in what the machine boots; a sandbox uses the programs of this host`,
    details: { tool: program },
  });
}
