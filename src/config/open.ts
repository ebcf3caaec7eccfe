import { lstat, realpath } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { configFromFlake, discoverFlake, type DiscoverOptions } from './flake.js';
import { repositoryOf, requireInside, untrusted } from './inside.js';
import { findConfig, loadConfig, type LoadedConfig } from './load.js';
import { shownPath } from './paths.js';

export interface OpenedConfig extends LoadedConfig {
  /** What the user should know of where the profiles come from. */
  readonly notes: readonly string[];
}

export interface OpenOptions extends DiscoverOptions {
  /**
   * The configuration is not trusted: nothing of it is run, and nothing outside its repository is
   * read. `repository`: what that is; default: found above the configuration.
   */
  readonly untrusted?: { readonly repository?: string };
}

/**
 * The configuration a command works with: the named file, else the nearest one upwards, else the flake's hosts.
 * @throws NixproofError `CONFIG_NOT_FOUND` where there is neither; whatever {@link loadConfig} and {@link configFromFlake} throw
 */
export async function openConfig(
  cwd: string,
  file: string | undefined,
  { untrusted: held, ...options }: OpenOptions = {},
): Promise<OpenedConfig> {
  const found = file ?? (await findConfig(cwd));
  if (found !== undefined) {
    const repository = held && (await repositoryFor(path.resolve(cwd, found), cwd, held));
    return { ...(await loadConfig(found, cwd, repository)), notes: [] };
  }
  const flake = await discoverFlake(cwd, { ...options, evaluate: held === undefined });
  if (flake !== undefined) {
    const repository = held && (await repositoryFor(flake.file, cwd, held));
    const config = configFromFlake(flake, cwd);
    if (repository === undefined) return { ...config, notes: flake.notes };
    const folder = await realpath(flake.folder);
    await requireInside(repository, path.join(folder, path.basename(flake.file)), 'flake.nix');
    return { ...config, folder, repository, notes: flake.notes };
  }
  throw new NixproofError('CONFIG_NOT_FOUND', 'there is no nixproof.yaml and no flake.nix here or in a folder above', {
    hint: 'run `nixproof init` to write a configuration, or name one with --config',
  });
}

/**
 * @throws NixproofError `CONFIG_NOT_FOUND` if there is no such folder; `CONFIG_UNTRUSTED` if a link
 * leads to it from the working folder, which would choose what the repository is
 */
async function repositoryFor(
  file: string,
  cwd: string,
  { repository }: NonNullable<OpenOptions['untrusted']>,
): Promise<string> {
  const name = shownPath(file, cwd);
  const steps = path.isAbsolute(name) ? [] : path.dirname(name).split(path.sep);
  for (const index of steps.keys()) {
    const found = await lstat(path.join(cwd, ...steps.slice(0, index + 1))).catch(() => undefined);
    if (!found?.isSymbolicLink()) continue;
    throw untrusted([{ path: name, problem: 'a link leads to its folder', remedy: 'name it where it really is' }]);
  }
  return repositoryOf(repository ?? path.dirname(file), repository !== undefined).catch((error: unknown) => {
    throw new NixproofError('CONFIG_NOT_FOUND', `there is no ${file}`, {
      hint: 'give the path of a configuration, or run `nixproof init` to write one',
      cause: error,
    });
  });
}
