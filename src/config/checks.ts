import { NixproofError } from '../domain/error.js';
import type { Check, Login } from '../domain/profile.js';
import type { CheckConfig } from './check-schema.js';
import { isFile, type LoadedConfig } from './load.js';
import { absolutePath } from './paths.js';

/**
 * A check with its name and the absolute path of its key.
 * @throws NixproofError `CONFIG_KEY_MISSING`
 */
export async function resolveCheck(check: CheckConfig, profile: string, loaded: LoadedConfig): Promise<Check> {
  const name = check.name ?? defaultName(check);
  const login = await loginOf(check, profile, name, loaded);
  const common = { name, ...(login === undefined ? {} : { login }) };
  if ('run' in check) {
    const { run, expect, match } = check;
    return {
      ...common,
      kind: 'run',
      run,
      ...(expect === undefined ? {} : { expect }),
      ...(match === undefined ? {} : { match }),
    };
  }
  if ('service' in check) return { ...common, kind: 'service', service: check.service };
  if ('reboot' in check) return { ...common, kind: 'reboot', times: check.reboot };
  return { ...common, kind: 'units' };
}

function defaultName(check: CheckConfig): string {
  if ('service' in check) return `${check.service} is active`;
  if ('units' in check) return 'no failed units';
  if ('reboot' in check) return check.reboot === 1 ? 'survives a reboot' : `survives ${check.reboot} reboots`;
  const command = check.run.trim().replace(/\s+/g, ' ');
  return command.length > 60 ? `${command.slice(0, 59)}…` : command;
}

async function loginOf(
  check: CheckConfig,
  profile: string,
  name: string,
  { folder, repository }: LoadedConfig,
): Promise<Login | undefined> {
  const { user, key: written } = check;
  if (user === undefined || written === undefined) return undefined;
  const key = absolutePath(folder, written);
  // Of a configuration that is not trusted, `requireUntrusted` says all that is wrong at once.
  if (repository !== undefined || (await isFile(key))) return { user, key };
  throw new NixproofError('CONFIG_KEY_MISSING', `profile ${profile}, check “${name}”: there is no key ${written}`, {
    hint: `put the private key of ${user} there, or correct the path; it is relative to the configuration’s folder`,
    details: { profile, check: name, key },
  });
}
