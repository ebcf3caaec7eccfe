import { NixproofError } from '../domain/error.js';
import type { DriverName, ExistingMachine } from '../domain/profile.js';
import { isFile, type LoadedConfig } from './load.js';
import type { ExistingMachineConfig } from './machine-schema.js';
import { absolutePath } from './paths.js';
import type { ProfileConfig } from './profile-schema.js';
import { parseDuration, validated } from './units.js';

/**
 * The machines that a profile of the ssh driver may use: those it names, else all; undefined for other drivers. A machine with
 * fewer disks than the profile asks for is none of them.
 * @throws NixproofError `CONFIG_MACHINES_MISSING`, `CONFIG_KEY_MISSING`
 */
export async function hostsOf(
  profile: string,
  { machines: names, machine: { disks } }: ProfileConfig,
  driver: DriverName | undefined,
  loaded: LoadedConfig,
): Promise<readonly ExistingMachine[] | undefined> {
  if (driver !== 'ssh') return undefined;
  const allowed = Object.entries(loaded.config.machines).filter(([name]) => names?.includes(name) ?? true);
  const fitting = allowed.filter(([, machine]) => machine.disks.length >= disks.length);
  if (fitting.length === 0) throw noMachine(profile, allowed.length, disks.length);
  const hosts = [];
  for (const [name, machine] of fitting) hosts.push(await hostOf(name, machine, loaded));
  return hosts;
}

function noMachine(profile: string, allowed: number, disks: number): NixproofError {
  const message =
    allowed === 0
      ? `profile ${profile} is driven by ssh, but the configuration has no machines`
      : `profile ${profile} asks for ${disks} disks, and none of its machines has so many`;
  return new NixproofError('CONFIG_MACHINES_MISSING', message, {
    hint:
      allowed === 0
        ? 'add a machine with its address, key and disks under `machines:`'
        : "name more of the machine's `disks`, or ask for fewer in the profile's `machine.disks`",
    details: { profile },
  });
}

async function hostOf(
  name: string,
  machine: ExistingMachineConfig,
  { folder, repository }: LoadedConfig,
): Promise<ExistingMachine> {
  const { address, port, user, hostKey, hostKeyChangesOnReset, disks, reset, start, stop, ready } = machine;
  const key = absolutePath(folder, machine.key);
  // Of a configuration that is not trusted, the driver itself is refused.
  if (repository === undefined && !(await isFile(key))) {
    throw new NixproofError('CONFIG_KEY_MISSING', `machine ${name}: there is no key ${machine.key}`, {
      hint: `put the private key of ${user} there, or correct the path; it is relative to the configuration’s folder`,
      details: { machine: name, key },
    });
  }
  return {
    name,
    address,
    port,
    user,
    key,
    // A comment, as public keys have one at their end, is no part of it.
    ...(hostKey === undefined ? {} : { hostKey: hostKey.split(' ').slice(0, 2).join(' ') }),
    hostKeyChangesOnReset,
    disks,
    commands: {
      ...(reset === undefined ? {} : { reset }),
      ...(start === undefined ? {} : { start }),
      ...(stop === undefined ? {} : { stop }),
      ...(ready === undefined ? {} : { ready }),
    },
    folder,
    commandTimeoutMs: validated(parseDuration(machine.commandTimeout)),
    bootTimeoutMs: validated(parseDuration(machine.bootTimeout)),
  };
}
