import { randomBytes } from 'node:crypto';
import { availableParallelism, freemem } from 'node:os';
import { NixproofError } from '../domain/error.js';
import type { FaultRequest } from '../domain/fault.js';
import { requireOwnDisks } from '../domain/installer.js';
import { DEFAULT_BASE, type DriverName, type Profile } from '../domain/profile.js';
import type { Keep } from '../domain/run.js';
import type { SuiteRequest, SuiteRun } from '../domain/suite.js';
import type { Work } from '../domain/work.js';
import { baseFor } from '../bases/registry.js';
import type { Layout } from '../host/paths.js';
import type { Registry } from '../machines/registry.js';

export interface PlanOptions {
  readonly keep: Keep;
  readonly timeoutMs: number | undefined;
  readonly parallel: 'auto' | number;
  readonly searchAttributes: boolean;
  /** How often each of them is run; default: once. */
  readonly repeat?: number | undefined;
  readonly failFast?: boolean | undefined;
  readonly retryErrors?: number | undefined;
}

/** One run that is wanted: a profile, and what is to go wrong in it. */
export interface Wanted {
  readonly profile: Profile & { readonly driver: DriverName };
  readonly faults: readonly FaultRequest[];
  /** Whether it is one of several runs of its profile, which its faults' names then tell apart. */
  readonly drill: boolean;
}

/** `20261123-071500-ab12`: sorts by time, and no two are the same. */
export function newStamp(now = new Date()): string {
  const digits = now.toISOString().replace(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${digits}-${randomBytes(2).toString('hex')}`;
}

/** The suite of these runs, each `repeat` times. */
export function planSuite(wanted: readonly Wanted[], options: PlanOptions): SuiteRequest {
  const stamp = newStamp();
  const profiles = [...new Set(wanted.map(({ profile }) => profile))];
  const repeated = wanted.flatMap((one) => Array.from({ length: options.repeat ?? 1 }, () => one));
  const names = namesOf(repeated);
  const runs = repeated.map(({ profile, faults }, index): SuiteRun => ({
    run: `${names[index] ?? profile.name}-${stamp}`,
    profile: profiles.indexOf(profile),
    ...(faults.length === 0 ? {} : { faults }),
  }));
  return {
    suite: `suite-${stamp}`,
    profiles,
    runs,
    parallel: options.parallel === 'auto' ? parallelFor(profiles) : options.parallel,
    keep: options.keep,
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
    searchAttributes: options.searchAttributes,
    ...(options.failFast === true ? { failFast: true } : {}),
    ...(options.retryErrors === undefined ? {} : { retryErrors: options.retryErrors }),
  };
}

/**
 * A run's name without its stamp: the profile's, with its driver and base where the suite has several of them, in drills with the
 * fault's, counted where a suite has several of the same.
 */
function namesOf(wanted: readonly Wanted[]): readonly string[] {
  const places = new Map<string, Set<string>>();
  for (const { profile } of wanted) {
    places.set(profile.name, (places.get(profile.name) ?? new Set()).add(placeOf(profile)));
  }
  const counts = new Map<string, number>();
  return wanted.map(({ profile, faults, drill }) => {
    const place = (places.get(profile.name)?.size ?? 0) > 1 ? [placeOf(profile)] : [];
    const name = [profile.name, ...place, ...(drill ? faults.map((fault) => fault.name) : [])].join('-');
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count === 1 ? name : `${name}-${count}`;
  });
}

/** Where a profile is tested, as a part of a name: `qemu-debian`. */
function placeOf({ driver, base }: Wanted['profile']): string {
  const what = base
    ?.replace(/^[a-z]+:.*?([^/]+)$/, '$1')
    .replace(/#.*$/, '')
    .replace(/[^A-Za-z0-9]+/g, '-')
    .slice(0, 20);
  return what === undefined ? driver : `${driver}-${what}`;
}

/** As many at once as this host has cores and free memory for. */
function parallelFor(profiles: readonly Profile[]): number {
  const largestMiB = Math.max(
    ...profiles.map(({ driver, machine }) => (driver === 'sandbox' || driver === 'ssh' ? 64 : machine.memoryMiB)),
  );
  const byMemory = Math.floor(freemem() / 1048576 / largestMiB);
  return Math.max(1, Math.min(availableParallelism(), byMemory));
}

/**
 * The driver of a profile that names none: qemu where it works. Where it does not, a profile that asks for no base may run in a
 * sandbox, which runs the installer on this very host; root must say so itself.
 * @throws NixproofError `HOST_QEMU_MISSING`, `UNSUPPORTED_DRIVER`, `UNSUPPORTED_SANDBOX_ROOT`, `UNSUPPORTED_SANDBOX_TARGET`,
 * `UNSUPPORTED_BASE`, `UNSUPPORTED_NETWORK`
 */
export async function chooseDriver(
  profile: Profile,
  machines: Registry,
  work: Work & { readonly layout: Layout },
): Promise<Profile & { driver: DriverName }> {
  if (profile.driver) {
    machines.driver(profile.driver);
    requireNetworkOfOurs(profile, profile.driver);
  }
  if (profile.driver === 'sandbox' || profile.driver === 'ssh') return { ...profile, driver: profile.driver };
  if (profile.driver === 'libvirt') return { ...withBase(profile, work.layout), driver: profile.driver };
  const probe = profile.driver ? undefined : await machines.driver('qemu').probe(work);
  if (!probe || probe.available) return { ...withBase(profile, work.layout), driver: 'qemu' };
  if (profile.base !== undefined) throw probe.reason;
  requireOwnDisks(profile, 'sandbox');
  requireNetworkOfOurs(profile, 'sandbox');
  // An untrusted profile is refused the sandbox for that, by who asks for a driver.
  if (process.getuid?.() === 0 && profile.untrusted === undefined) {
    throw new NixproofError(
      'UNSUPPORTED_SANDBOX_ROOT',
      `${profile.name} would run in a sandbox, as root, on this host`,
      {
        hint: 'install QEMU for a real machine, or say --driver sandbox if that is what you want',
      },
    );
  }
  work.progress(`${probe.reason.message}: ${profile.name} runs in a sandbox on this host`);
  return { ...profile, driver: 'sandbox' };
}

/** What a machine reaches can be limited only where its network is ours. */
function requireNetworkOfOurs(
  { name, install, machine: { network, libvirtNetwork } }: Profile,
  driver: DriverName,
): void {
  if (network === undefined) return;
  if (install.kind === 'nix-check') {
    throw new NixproofError('UNSUPPORTED_NETWORK', `profile ${name}: kind nix-check runs on this host`, {
      hint: 'leave `network` out: there is no machine whose network could be limited',
      details: { profile: name },
    });
  }
  if (driver === 'qemu' || (driver === 'libvirt' && libvirtNetwork === undefined)) return;
  const where = driver === 'libvirt' ? `the libvirt network ${libvirtNetwork ?? ''}` : `driver ${driver}`;
  throw new NixproofError('UNSUPPORTED_NETWORK', `profile ${name}: network cannot be limited with ${where}`, {
    hint: 'use driver qemu, or libvirt without VM_NETWORK; or leave `network` out',
    details: { profile: name },
  });
}

/** A base nobody can make is refused before anything starts; one that is only not prepared is its host's to tell. */
function withBase(profile: Profile, layout: Layout): Profile {
  const { base = DEFAULT_BASE } = profile;
  baseFor(base, layout);
  return { ...profile, base };
}
