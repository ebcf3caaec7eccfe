import { parseFault } from '../config/fault-spec.js';
import { listed } from '../config/suggest.js';
import { NixproofError } from '../domain/error.js';
import { faultText, type FaultRequest } from '../domain/fault.js';
import type { DriverName, Profile } from '../domain/profile.js';
import { faultNamed, faultsFor } from '../faults/index.js';

/**
 * The faults of `--inject`, each once.
 * @throws NixproofError `CONFIG_FLAG`
 */
export function faultsOf(specs: readonly string[]): readonly FaultRequest[] {
  return [...new Set(specs)].map((spec) => {
    const parsed = parseFault(spec);
    if (parsed.ok) return parsed.fault;
    throw new NixproofError('CONFIG_FLAG', `--inject: ${parsed.problem}`, {
      hint: 'docs/faults.md has the table of faults; a phase is written behind an @',
      details: { flag: '--inject' },
    });
  });
}

/** Before anything starts. @throws NixproofError `UNSUPPORTED_FAULT` */
export function requireFaults(
  { name, driver }: Profile & { readonly driver: DriverName },
  faults: readonly FaultRequest[],
): void {
  for (const fault of faults) {
    if (faultNamed(fault.name).drivers.includes(driver)) continue;
    const possible = faultsFor(driver).map((one) => one.name);
    throw new NixproofError('UNSUPPORTED_FAULT', `${fault.name} cannot be injected with driver ${driver} (${name})`, {
      hint: `driver ${driver} can do ${listed(possible, 'and')}`,
      details: { fault: faultText(fault), driver, profile: name },
    });
  }
}

/** What `--drill` injects into a profile, a run each. @throws NixproofError `UNSUPPORTED_FAULT` */
export function drillsOf(profile: Profile & { readonly driver: DriverName }): readonly FaultRequest[] {
  const drills = profile.drills ?? faultsFor(profile.driver).map(({ name }): FaultRequest => ({ name }));
  requireFaults(profile, drills);
  return drills;
}
