import { lstat, readlink, realpath, stat } from 'node:fs/promises';
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

/** More links than that are a circle: the kernel's own limit (path_resolution(7)). */
const MOST_LINKS = 40;

/**
 * Where something really is that a configuration names, links followed; a refusal if that is not
 * inside the repository, or in git's own folder. Of a path that leaves the repository at any step,
 * also one that comes back, nothing is looked at outside: its author does not learn what is there.
 * @param repository an absolute path without links
 * @param file absolute, from a folder without links
 * @param where its place in the configuration
 */
export async function insideOf(repository: string, file: string, where: string): Promise<string | Refusal> {
  const refusal = (problem: string): Refusal => ({
    path: where,
    problem,
    remedy: `name something inside ${repository}`,
  });
  const outside = refusal('it is outside the repository');
  const first = stepsBelow(repository, file);
  if (first === undefined) return outside;
  const steps = [...first];
  let at = repository;
  for (let links = 0; steps.length > 0;) {
    const step = steps.shift() ?? '';
    if (step === '..' && at === repository) return outside;
    if (step === '' || step === '.') continue;
    if (step.toLowerCase() === GIT_FOLDER) return refusal("it is in git's own folder, which may hold credentials");
    const next = path.join(at, step);
    const found = step === '..' ? undefined : await lstat(next).catch(() => 'missing' as const);
    if (found === 'missing') return refusal(`there is no ${file}`);
    if (!found?.isSymbolicLink()) {
      at = next;
      continue;
    }
    const target = await readlink(next).catch(() => '');
    if (target === '' || ++links > MOST_LINKS) return refusal(`there is no ${file}`);
    const below = path.isAbsolute(target) ? stepsBelow(repository, target) : undefined;
    if (path.isAbsolute(target) && below === undefined) return outside;
    if (below) at = repository;
    steps.unshift(...(below ?? target.split(path.sep)));
  }
  // Somebody may have changed it meanwhile.
  return (await realpath(file).catch(() => undefined)) === at ? at : outside;
}

/** The steps from a folder down to an absolute path, as both are written; undefined where it is not below. */
function stepsBelow(folder: string, file: string): readonly string[] | undefined {
  if (file === folder) return [];
  const prefix = folder.endsWith(path.sep) ? folder : `${folder}${path.sep}`;
  return file.startsWith(prefix) ? file.slice(prefix.length).split(path.sep) : undefined;
}

/** The same, as an error. @throws NixproofError `CONFIG_UNTRUSTED` */
export async function requireInside(repository: string, file: string, where: string): Promise<string> {
  const real = await insideOf(repository, file, where);
  if (typeof real === 'string') return real;
  throw untrusted([real]);
}
