import type { Driver } from '../../src/machines/machine.js';

/**
 * Whether tests that need something of this host can run. Where it is missing the reason is printed; where
 * `NIXPROOF_TEST_REQUIRE` names it, its absence is a failure.
 */
export async function hasOrSkip(requirement: string, driver: Pick<Driver, 'probe'>): Promise<boolean> {
  const probe = await driver.probe({ signal: new AbortController().signal, progress: () => undefined });
  if (probe.available) return true;
  const reason = `${requirement}: ${probe.reason.message}`;
  if ((process.env['NIXPROOF_TEST_REQUIRE'] ?? '').split(',').includes(requirement))
    throw new Error(`required, but missing: ${reason}`);
  console.warn(`skipped: ${reason}`);
  return false;
}
