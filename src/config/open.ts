import { NixproofError } from '../domain/error.js';
import { configFromFlake, discoverFlake, type DiscoverOptions } from './flake.js';
import { findConfig, loadConfig, type LoadedConfig } from './load.js';

export interface OpenedConfig extends LoadedConfig {
  /** What the user should know of where the profiles come from. */
  readonly notes: readonly string[];
}

/**
 * The configuration a command works with: the named file, else the nearest one upwards, else the flake's hosts.
 * @throws NixproofError `CONFIG_NOT_FOUND` where there is neither; whatever {@link loadConfig} and {@link configFromFlake} throw
 */
export async function openConfig(
  cwd: string,
  file: string | undefined,
  options: DiscoverOptions = {},
): Promise<OpenedConfig> {
  const found = file ?? (await findConfig(cwd));
  if (found !== undefined) return { ...(await loadConfig(found, cwd)), notes: [] };
  const flake = await discoverFlake(cwd, options);
  if (flake !== undefined) return { ...configFromFlake(flake, cwd), notes: flake.notes };
  throw new NixproofError('CONFIG_NOT_FOUND', 'there is no nixproof.yaml and no flake.nix here or in a folder above', {
    hint: 'run `nixproof init` to write a configuration, or name one with --config',
  });
}
