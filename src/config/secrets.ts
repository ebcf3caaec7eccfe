import type { InstalledFile, SecretSource } from '../domain/profile.js';
import { absolutePath } from './paths.js';
import type { ProfileConfig } from './profile-schema.js';
import type { Config } from './schema.js';
import type { SecretSourceConfig } from './secrets-schema.js';

/** What a profile says of secrets, resolved as far as that needs no value. */
export interface ProfileSecrets {
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv?: Readonly<Record<string, string>>;
  readonly files?: readonly InstalledFile[];
  readonly secrets?: Readonly<Record<string, SecretSource>>;
}

/**
 * Those secrets a profile uses, and where it uses them. The schema has checked that they are there.
 */
export function secretsOf({ install, files: written }: ProfileConfig, config: Config, folder: string): ProfileSecrets {
  const env: Record<string, string> = {};
  const secretEnv: Record<string, string> = {};
  for (const [variable, value] of Object.entries(install.env)) {
    if (typeof value === 'string') env[variable] = value;
    else secretEnv[variable] = value.secret;
  }
  const files = written.map(({ secret, from, to, mode }): InstalledFile => {
    const content = secret === undefined ? { from: absolutePath(folder, from ?? '') } : { secret };
    return { content, to, mode: mode.padStart(4, '0') };
  });
  const used = [
    ...Object.values(secretEnv),
    ...files.flatMap(({ content }) => ('secret' in content ? [content.secret] : [])),
  ];
  const secrets = Object.fromEntries(
    Object.entries(secretSources(config, folder)).filter(([name]) => used.includes(name)),
  );
  return {
    env,
    ...(Object.keys(secretEnv).length === 0 ? {} : { secretEnv }),
    ...(files.length === 0 ? {} : { files }),
    ...(used.length === 0 ? {} : { secrets }),
  };
}

/** Where each secret of a configuration comes from. */
export function secretSources({ secrets }: Config, folder: string): Readonly<Record<string, SecretSource>> {
  return Object.fromEntries(Object.entries(secrets).map(([name, source]) => [name, secretSourceOf(source, folder)]));
}

/** A secret's source with its paths absolute; `~/` stays, for it is the home folder of the worker's user. */
function secretSourceOf({ env, file, command }: SecretSourceConfig, folder: string): SecretSource {
  if (env !== undefined) return { kind: 'env', name: env };
  if (file !== undefined) return { kind: 'file', path: file.startsWith('~/') ? file : absolutePath(folder, file) };
  return { kind: 'command', argv: command ?? [], folder };
}
