import { stat } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import type { FaultRequest } from '../domain/fault.js';
import type {
  DriverName,
  HealingPolicy,
  Installation,
  MachineShape,
  Profile,
  InstalledFile,
} from '../domain/profile.js';
import { absoluteBase, baseOfFlag } from './base.js';
import { resolveCheck } from './checks.js';
import { readEnvironment, type Environment, type EnvironmentSettings } from './environment.js';
import { parseFault } from './fault-spec.js';
import { hostsOf } from './hosts.js';
import type { LoadedConfig } from './load.js';
import { absolutePath, shownPath } from './paths.js';
import type { ProfileConfig } from './profile-schema.js';
import type { Config } from './schema.js';
import { secretsOf, type ProfileSecrets } from './secrets.js';
import { didYouMean } from './suggest.js';
import { parseDuration, parseSize, validated } from './units.js';

/** What flags of the command line say of every profile. */
export interface ProfileFlags {
  readonly driver?: DriverName;
  readonly base?: string;
  /** `--heal`; `--no-heal` is `never`. */
  readonly heal?: HealingPolicy['policy'];
  readonly maxHeals?: number;
}

export interface ResolveOptions {
  /** Default: the process's. */
  readonly env?: Environment;
  readonly flags?: ProfileFlags;
  /** What paths in flags are relative to; default: the working folder. */
  readonly cwd?: string;
}

/**
 * Memory where nothing is said. nixos: evaluating nixpkgs takes 1–2 GiB, and the live system's writable store is memory too.
 * A script's packages come from an archive; a live Debian with partitioning tools is content with 2 GiB.
 */
const DEFAULT_MEMORY_MIB = { nixos: 4096, 'nixos-anywhere': 4096, script: 2048, 'nix-check': 2048 } as const;

/**
 * The profiles to test, complete: flags win over the environment, the environment over the file, and what is left has defaults.
 * @param names profiles in the order they are wanted, each once; none: all of them, in the file's order
 * @throws NixproofError `CONFIG_UNKNOWN_PROFILE`, `CONFIG_ENVIRONMENT`, `CONFIG_FLAG`, `CONFIG_DEPLOY_MISSING`, `CONFIG_FILES`,
 * `CONFIG_KEY_MISSING`, `CONFIG_MACHINES_MISSING`
 */
export async function resolveProfiles(
  loaded: LoadedConfig,
  names: readonly string[] = [],
  options: ResolveOptions = {},
): Promise<readonly Profile[]> {
  const { env = process.env, flags = {}, cwd = process.cwd() } = options;
  const settings = readEnvironment(env);
  const flagBase = flags.base === undefined ? undefined : baseOfFlag(flags.base, cwd);
  const wanted = names.length > 0 ? [...new Set(names)] : Object.keys(loaded.config.profiles);
  for (const name of wanted) requireProfile(loaded, name, cwd);
  return await Promise.all(
    wanted.map(async (name) => {
      const config = loaded.config.profiles[name] as ProfileConfig;
      const driver = driverOf(config, flags);
      const bootsNothing = driver === 'sandbox' || driver === 'ssh';
      const isNixos = config.install.kind === 'nixos' || config.install.kind === 'nixos-anywhere';
      const defaultBase = isNixos && !bootsNothing ? 'nixos' : undefined;
      const fileBase = config.base === undefined ? defaultBase : absoluteBase(config.base, loaded.folder);
      const boots = flagBase ?? fileBase;
      const hosts = await hostsOf(name, config, driver, loaded);
      const { files, secrets, ...variables } = secretsOf(config, loaded.config, loaded.folder);
      // Of a configuration that is not trusted, `requireUntrusted` says all that is wrong at once.
      if (loaded.repository === undefined) await requireFiles(name, files ?? [], loaded.folder, cwd);
      return {
        name,
        ...(boots === undefined ? {} : { base: boots }),
        ...(driver === undefined ? {} : { driver }),
        machine: shapeOf(config, settings),
        ...(config.labels === undefined ? {} : { labels: config.labels }),
        ...(hosts === undefined ? {} : { hosts }),
        deploy: { ...config.deploy, from: await deployedFolder(name, config, loaded, cwd) },
        install: installationOf(config, variables),
        ...(files === undefined ? {} : { files }),
        ...(secrets === undefined ? {} : { secrets }),
        checks: await Promise.all(config.checks.map((check) => resolveCheck(check, name, loaded))),
        healing: healingOf(loaded.config, settings, flags),
        ...(config.timeouts === undefined ? {} : { timeouts: timeoutsOf(config.timeouts) }),
        ...(config.drills === undefined ? {} : { drills: drillsOf(config.drills) }),
      };
    }),
  );
}

function requireProfile({ config, file }: LoadedConfig, name: string, cwd: string): void {
  if (Object.hasOwn(config.profiles, name)) return;
  const known = Object.keys(config.profiles);
  const message = `there is no profile ${JSON.stringify(name)} in ${shownPath(file, cwd)}${didYouMean(name, known)}`;
  throw new NixproofError('CONFIG_UNKNOWN_PROFILE', message, {
    hint: `name one of these: ${known.join(', ')}`,
    details: { profile: name, profiles: known },
  });
}

/** A check of a flake is built on this host, whatever the other profiles of the suite run on. */
function driverOf({ install, driver }: ProfileConfig, flags: ProfileFlags): DriverName | undefined {
  return install.kind === 'nix-check' ? 'sandbox' : (flags.driver ?? driver);
}

function shapeOf({ machine, install, network }: ProfileConfig, settings: EnvironmentSettings): MachineShape {
  const accelerator = settings.accelerator ?? machine.accelerator;
  return {
    memoryMiB: settings.memoryMiB ?? machine.memory ?? DEFAULT_MEMORY_MIB[install.kind],
    cpus: machine.cpus,
    diskBytes: machine.disks.map((size) => settings.diskBytes ?? validated(parseSize(size))),
    firmware: machine.firmware,
    ...(network === 'internet' ? {} : { network }),
    ...(settings.libvirtNetwork === undefined ? {} : { libvirtNetwork: settings.libvirtNetwork }),
    ...(accelerator === 'auto' ? {} : { accelerator }),
  };
}

function installationOf(
  { install }: ProfileConfig,
  variables: Pick<ProfileSecrets, 'env' | 'secretEnv'>,
): Installation {
  const { timeout, stall, maxLog, env: _, ...rest } = install;
  const limits = {
    ...variables,
    timeoutMs: validated(parseDuration(timeout)),
    stallMs: validated(parseDuration(stall)),
    maxLogBytes: validated(parseSize(maxLog)),
  };
  return rest.kind === 'nix-check' ? { ...rest, ...limits, reboot: false } : { ...rest, ...limits };
}

function timeoutsOf(written: NonNullable<ProfileConfig['timeouts']>): NonNullable<Profile['timeouts']> {
  return Object.fromEntries(
    Object.entries(written).flatMap(([step, duration]) =>
      duration === undefined ? [] : [[step, validated(parseDuration(duration))]],
    ),
  );
}

function drillsOf(specs: readonly string[]): readonly FaultRequest[] {
  return specs.flatMap((spec) => {
    const parsed = parseFault(spec);
    return parsed.ok ? [parsed.fault] : [];
  });
}

function healingOf({ healing }: Config, settings: EnvironmentSettings, flags: ProfileFlags): HealingPolicy {
  return {
    policy: flags.heal ?? policyOf(healing.policy, settings.healing),
    threshold: healing.threshold,
    max: flags.maxHeals ?? settings.maxHeals ?? healing.max,
    askMs: validated(parseDuration(healing.ask)),
    heals: healing.heals,
  };
}

/** `HEALING_ENABLED=true` turns healing on where the file has it off, and leaves an `ask` alone. */
function policyOf(policy: HealingPolicy['policy'], enabled: boolean | undefined): HealingPolicy['policy'] {
  if (enabled === undefined) return policy;
  if (!enabled) return 'never';
  return policy === 'never' ? 'auto' : policy;
}

/** What is not beside the configuration may be on the worker's host alone, which says so itself. */
async function requireFiles(name: string, files: readonly InstalledFile[], folder: string, cwd: string): Promise<void> {
  for (const { content, to } of files) {
    if ('secret' in content || path.relative(folder, content.from).startsWith('..')) continue;
    const found = await stat(content.from).catch(() => undefined);
    if (found?.isFile()) continue;
    const what = found ? 'is no file' : 'does not exist';
    throw new NixproofError('CONFIG_FILES', `profile ${name}, file ${to}: ${shownPath(content.from, cwd)} ${what}`, {
      hint: 'correct its `from`: it is relative to the configuration’s folder',
      details: { profile: name, from: content.from },
    });
  }
}

async function deployedFolder(
  name: string,
  { deploy }: ProfileConfig,
  { folder, repository }: LoadedConfig,
  cwd: string,
): Promise<string> {
  const from = absolutePath(folder, deploy.from);
  // Of one that is not trusted, what is refused says so first: it learns of no path of this host.
  if (repository !== undefined) return from;
  const found = await stat(from).catch(() => undefined);
  if (found?.isDirectory()) return from;
  const what = found ? 'is not a folder' : 'does not exist';
  throw new NixproofError('CONFIG_DEPLOY_MISSING', `profile ${name}: deploy.from ${what}: ${shownPath(from, cwd)}`, {
    hint: 'set deploy.from to the folder to copy; it is relative to the configuration’s folder',
    details: { profile: name, from },
  });
}
