import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';

/** One thing of a configuration that `--untrusted` refuses. */
export interface Refusal {
  /**
   * Where it stands in the configuration, such as `profiles.vm.driver`; a file's name if it is not
   * in one place.
   */
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
 * The repository that a folder belongs to: the nearest folder above with `.git` in it, else the
 * folder itself. git is not asked: its own configuration may name programs.
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

/** git's own folder holds credentials where a CI system has checked the repository out. */
export const GIT_FOLDER = '.git';

/**
 * Where something really is that a configuration names, links followed; a refusal if that is not
 * inside the repository, or in git's own folder.
 * @param where its place in the configuration
 */
export async function insideOf(repository: string, file: string, where: string): Promise<string | Refusal> {
  const refusal = (problem: string): Refusal => ({
    path: where,
    problem,
    remedy: `name something inside ${repository}`,
  });
  const real = await realpath(file).catch(() => undefined);
  if (real === undefined) return refusal(`there is no ${file}`);
  const steps = path.relative(repository, real).split(path.sep);
  if (steps[0] === '..' || path.isAbsolute(path.relative(repository, real)))
    return refusal(`it is outside the repository, at ${real}`);
  if (steps.some((step) => step.toLowerCase() === GIT_FOLDER))
    return refusal(`it is in git's own folder, which may hold credentials: ${real}`);
  return real;
}

/** The same, as an error. @throws NixproofError `CONFIG_UNTRUSTED` */
export async function requireInside(repository: string, file: string, where: string): Promise<string> {
  const real = await insideOf(repository, file, where);
  if (typeof real === 'string') return real;
  throw untrusted([real]);
}
