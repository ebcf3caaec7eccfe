import { NixproofError } from '../domain/error.js';
import type { Accelerator } from '../domain/profile.js';
import { acceleratorInEnvironment } from '../host/environment.js';
import { show } from './messages.js';
import { parseSize, SIZE_EXPECTED } from './units.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says of every profile; a variable that is unset or empty says nothing. */
export interface EnvironmentSettings {
  /** `VM_MEMORY`, which QEMU and we count in MiB. */
  readonly memoryMiB: number | undefined;
  /** `VM_DISK_SIZE`: of each disk. */
  readonly diskBytes: number | undefined;
  /** `VM_NETWORK`: a network of libvirt. */
  readonly libvirtNetwork: string | undefined;
  /** `NIXPROOF_ACCELERATOR`. */
  readonly accelerator: Accelerator | 'auto' | undefined;
  /** `MAX_HEALING_ATTEMPTS`. */
  readonly maxHeals: number | undefined;
  /** `HEALING_ENABLED`. */
  readonly healing: boolean | undefined;
}

/** @throws NixproofError `CONFIG_ENVIRONMENT` naming the variable and what was expected */
export function readEnvironment(env: Environment): EnvironmentSettings {
  const network = read(env, 'VM_NETWORK', 'the name of a libvirt network, or user', networkName);
  return {
    memoryMiB: read(env, 'VM_MEMORY', 'a whole number of megabytes from 128 to 1048576', wholeBetween(128, 1_048_576)),
    diskBytes: read(env, 'VM_DISK_SIZE', SIZE_EXPECTED, parseSize),
    libvirtNetwork: network === 'user' ? undefined : network,
    accelerator: acceleratorInEnvironment(env),
    maxHeals: read(env, 'MAX_HEALING_ATTEMPTS', 'a whole number from 0 to 100', wholeBetween(0, 100)),
    healing: read(env, 'HEALING_ENABLED', 'true or false', parseBoolean),
  };
}

/**
 * `PARALLEL_TESTS`: `true` is `auto`, `false` one test at a time, a number that many; undefined where it is not set.
 * @throws NixproofError `CONFIG_ENVIRONMENT`
 */
export function parallelFromEnvironment(env: Environment): 'auto' | number | undefined {
  return read(env, 'PARALLEL_TESTS', 'true, false, auto or a whole number from 1 to 1000', (text) => {
    // A number first: `1` is one test at a time, not `true`.
    const count = wholeBetween(1, 1000)(text);
    if (count !== undefined || text === 'auto') return count ?? 'auto';
    const several = text === '0' ? undefined : parseBoolean(text);
    return several === undefined ? undefined : several ? 'auto' : 1;
  });
}

function read<T>(env: Environment, name: string, what: string, parse: (text: string) => T | undefined): T | undefined {
  const text = env[name]?.trim();
  if (text === undefined || text === '') return undefined;
  const value = parse(text);
  if (value !== undefined) return value;
  throw new NixproofError('CONFIG_ENVIRONMENT', `${name}: expected ${what}, got ${show(text)}`, {
    hint: `set ${name} to ${what}, or unset it`,
    details: { variable: name },
  });
}

function wholeBetween(least: number, most: number) {
  return (text: string): number | undefined => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
    return value !== undefined && value >= least && value <= most ? value : undefined;
  };
}

/** What libvirt takes: no slash (its own rule); no spaces or controls, for it is one word in its lists and messages. */
function networkName(text: string): string | undefined {
  return /^[^\s/\p{Cc}-][^\s/\p{Cc}]*$/u.test(text) ? text : undefined;
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['1', true],
  ['yes', true],
  ['on', true],
  ['false', false],
  ['0', false],
  ['no', false],
  ['off', false],
]);

function parseBoolean(text: string): boolean | undefined {
  return BOOLEANS.get(text.toLowerCase());
}
