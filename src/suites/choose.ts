import { isDeepStrictEqual } from 'node:util';
import type { LoadedConfig } from '../config/load.js';
import { resolveProfiles } from '../config/resolve.js';
import { requireOwnDisks } from '../domain/installer.js';
import type { DriverName, Profile } from '../domain/profile.js';
import type { ProfileChoice } from '../domain/schedule.js';
import type { Work } from '../domain/work.js';
import type { Layout } from '../host/paths.js';
import type { Registry } from '../machines/registry.js';
import { chooseDriver } from './plan.js';
import { requireStillUntrusted, requireUntrusted } from './untrusted.js';

/**
 * The profiles that are chosen: every driver with every base; what says nothing of one leaves it to
 * the profiles.
 * @param cwd what paths in the choice are relative to
 * @throws NixproofError `UNSUPPORTED_SANDBOX_TARGET`, `CONFIG_UNTRUSTED`; whatever
 * {@link resolveProfiles} throws
 */
export async function resolveChoice(
  config: LoadedConfig,
  { profiles, drivers, bases, heal, maxHeals, untrusted }: ProfileChoice,
  cwd: string,
): Promise<readonly Profile[]> {
  const chosen: Profile[] = [];
  for (const driver of drivers ?? [undefined]) {
    for (const base of bases ?? [undefined]) {
      const flags = {
        ...(driver === undefined ? {} : { driver }),
        ...(base === undefined ? {} : { base }),
        ...(heal === undefined ? {} : { heal }),
        ...(maxHeals === undefined ? {} : { maxHeals }),
      };
      chosen.push(...(await resolveProfiles(config, profiles, { flags, cwd })));
    }
  }
  for (const profile of chosen) if (profile.driver) requireOwnDisks(profile, profile.driver);
  if (!untrusted) return chosen;
  const { repository, refused } = config;
  if (repository === undefined) throw new Error('an untrusted configuration was opened as a trusted one');
  return requireUntrusted(chosen, repository, { base: bases !== undefined }, refused);
}

/**
 * The same, each with its driver as this host has it.
 * @throws NixproofError whatever {@link chooseDriver} throws
 */
export async function chooseProfiles(
  config: LoadedConfig,
  choice: ProfileChoice,
  cwd: string,
  machines: Registry,
  work: Work & { readonly layout: Layout },
): Promise<readonly (Profile & { readonly driver: DriverName })[]> {
  const chosen: (Profile & { readonly driver: DriverName })[] = [];
  for (const profile of await resolveChoice(config, choice, cwd)) {
    const driven = await chooseDriver(profile, machines, work);
    await requireStillUntrusted(driven);
    chosen.push(driven);
  }
  // A check of a flake is built on this host, whatever was asked for: once.
  return chosen.filter((one, index) => chosen.findIndex((other) => isDeepStrictEqual(one, other)) === index);
}
