import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';

/** One thing of a configuration that `--untrusted` refuses. */
export interface Refusal {
  /** Where it stands in the configuration, such as `profiles.vm.driver`; a file's name if it is not in one place. */
  readonly path: string;
  readonly problem: string;
  /** What the user can do about it. */
  readonly remedy: string;
}

/** The error of everything that was refused. */
export function untrusted(refusals: readonly Refusal[]): NixproofError {
  const problems = refusals.map(({ path: where, problem, remedy }) => `${where}: ${problem}; ${remedy}`);
  return new NixproofError('CONFIG_UNTRUSTED', problems.join('\n'), {
    hint: '`--untrusted` lets a configuration run and read nothing on this host; leave it out only for a configuration that you trust',
    details: { problems },
  });
}

/**
 * The repository that a folder belongs to: the nearest folder above with `.git` in it, else the folder itself. git is not asked:
 * its own configuration may name programs.
 * @param given the folder is the repository itself
 */
export async function repositoryOf(folder: string, given = false): Promise<string> {
  const start = await realpath(folder);
  if (given) return start;
  for (let at = start; ; at = path.dirname(at)) {
    if (await stat(path.join(at, '.git')).catch(() => undefined)) return at;
    if (path.dirname(at) === at) return start;
  }
}

/**
 * Where something really is that a configuration names, links followed; a refusal if that is not inside the repository.
 * @param where its place in the configuration
 */
export async function insideOf(repository: string, file: string, where: string): Promise<string | Refusal> {
  const real = await realpath(file).catch(() => undefined);
  const beside = real === undefined ? '..' : path.relative(repository, real);
  if (real !== undefined && beside !== '..' && !beside.startsWith(`..${path.sep}`) && !path.isAbsolute(beside))
    return real;
  const problem = real === undefined ? `there is no ${file}` : `it is outside the repository, at ${real}`;
  return { path: where, problem, remedy: `name something inside ${repository}` };
}

/** The same, as an error. @throws NixproofError `CONFIG_UNTRUSTED` */
export async function requireInside(repository: string, file: string, where: string): Promise<string> {
  const real = await insideOf(repository, file, where);
  if (typeof real === 'string') return real;
  throw untrusted([real]);
}
