import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { configFromFlake, discoverFlake, type DiscoverOptions } from './flake.js';
import { repositoryOf, requireInside } from './inside.js';
import { findConfig, loadConfig, type LoadedConfig } from './load.js';

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
  { untrusted, ...options }: OpenOptions = {},
): Promise<OpenedConfig> {
  const found = file ?? (await findConfig(cwd));
  if (found !== undefined) {
    const repository = untrusted && (await repositoryFor(path.resolve(cwd, found), untrusted));
    return { ...(await loadConfig(found, cwd, repository)), notes: [] };
  }
  const flake = await discoverFlake(cwd, { ...options, evaluate: untrusted === undefined });
  if (flake !== undefined) {
    const repository = untrusted && (await repositoryFor(flake.file, untrusted));
    if (repository !== undefined) await requireInside(repository, flake.file, 'flake.nix');
    const config = configFromFlake(flake, cwd);
    return { ...config, ...(repository === undefined ? {} : { repository }), notes: flake.notes };
  }
  throw new NixproofError('CONFIG_NOT_FOUND', 'there is no nixproof.yaml and no flake.nix here or in a folder above', {
    hint: 'run `nixproof init` to write a configuration, or name one with --config',
  });
}

/** @throws NixproofError `CONFIG_NOT_FOUND` if there is no such folder */
async function repositoryFor(file: string, { repository }: NonNullable<OpenOptions['untrusted']>): Promise<string> {
  return repositoryOf(repository ?? path.dirname(file), repository !== undefined).catch((error: unknown) => {
    throw new NixproofError('CONFIG_NOT_FOUND', `there is no ${file}`, {
      hint: 'give the path of a configuration, or run `nixproof init` to write one',
      cause: error,
    });
  });
}
