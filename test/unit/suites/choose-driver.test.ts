import { afterEach, describe, expect, test, vi } from 'vitest';
import { NixproofError } from '../../../src/domain/error.js';
import type { Profile } from '../../../src/domain/profile.js';
import { layoutOf } from '../../../src/host/paths.js';
import type { Driver, DriverProbe } from '../../../src/machines/machine.js';
import type { Registry } from '../../../src/machines/registry.js';
import { chooseDriver } from '../../../src/suites/plan.js';

const MISSING = new NixproofError('HOST_QEMU_MISSING', 'qemu-system-x86_64 is not installed', { hint: 'install it' });
const ROOT = 0;
const SOMEBODY = 1000;

const profile = (more: Partial<Profile> = {}): Profile => ({
  name: 'vm',
  machine: { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'bios' },
  deploy: { from: '/', to: '/', exclude: [] },
  install: { kind: 'script', run: 'true', env: {}, timeoutMs: 1, stallMs: 1, reboot: true },
  checks: [],
  healing: { policy: 'never', threshold: 1, max: 0, askMs: 0, heals: [] },
  ...more,
});

/** Chooses as this user on a host whose QEMU answers so. */
async function choose(wanted: Profile, uid: number, probe: DriverProbe = { available: false, reason: MISSING }) {
  vi.spyOn(process as Required<Pick<typeof process, 'getuid'>>, 'getuid').mockReturnValue(uid);
  const qemu = { name: 'qemu', probe: async () => probe } as unknown as Driver;
  const machines = { driver: () => qemu } as unknown as Registry;
  const said: string[] = [];
  const work = {
    signal: new AbortController().signal,
    progress: (message: string) => void said.push(message),
    layout: layoutOf('/nowhere'),
  };
  const { driver, base } = await chooseDriver(wanted, machines, work);
  return { driver, base, said };
}

afterEach(() => vi.restoreAllMocks());

test.each([
  ['sandbox', {}, 'driver sandbox'],
  ['ssh', {}, 'driver ssh'],
  ['libvirt', { libvirtNetwork: 'lab' }, 'the libvirt network lab'],
] as const)('a profile that limits its network is refused where that cannot be: %s', async (driver, more, where) => {
  const machine = { ...profile().machine, ...more, network: 'none' } as const;
  await expect(choose(profile({ driver, machine }), SOMEBODY)).rejects.toMatchObject({
    code: 'UNSUPPORTED_NETWORK',
    message: `profile vm: network cannot be limited with ${where}`,
  });
});

describe('a profile that names no driver, on a host without QEMU', () => {
  test('runs in a sandbox, and says why', async () => {
    const said = ['qemu-system-x86_64 is not installed: vm runs in a sandbox on this host'];
    expect(await choose(profile(), SOMEBODY)).toEqual({ driver: 'sandbox', base: undefined, said });
  });

  test('is refused for root, whose files the installer would have', async () => {
    await expect(choose(profile(), ROOT)).rejects.toMatchObject({
      code: 'UNSUPPORTED_SANDBOX_ROOT',
      message: 'vm would run in a sandbox, as root, on this host',
    });
  });

  test.each([ROOT, SOMEBODY])('is refused where it asks for a base, for user %i', async (uid) => {
    await expect(choose(profile({ base: 'debian' }), uid)).rejects.toBe(MISSING);
  });
});

test('a profile that names no driver runs in QEMU where that works, for root too', async () => {
  const works: DriverProbe = { available: true, detail: 'QEMU' };
  expect(await choose(profile(), ROOT, works)).toEqual({ driver: 'qemu', base: 'debian', said: [] });
});

test('a base that nobody can make is refused before anything starts', async () => {
  const works: DriverProbe = { available: true, detail: 'QEMU' };
  await expect(choose(profile({ base: 'plan9' }), SOMEBODY, works)).rejects.toMatchObject({ code: 'UNSUPPORTED_BASE' });
});
