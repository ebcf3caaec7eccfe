import { access, chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { placeRun, type Placing } from '../../../src/activities/place/place-run.js';
import { loadConfig } from '../../../src/config/load.js';
import type { Profile } from '../../../src/domain/profile.js';
import type { RunRequest } from '../../../src/domain/run.js';
import type { ProfileChoice } from '../../../src/domain/schedule.js';
import { layoutOf } from '../../../src/host/paths.js';
import { startInstaller } from '../../../src/installers/installer.js';
import type { Work } from '../../../src/machines/machine.js';
import { createRegistry } from '../../../src/machines/registry.js';
import { createSandboxDriver } from '../../../src/machines/sandbox/driver.js';
import { chooseProfiles, resolveChoice } from '../../../src/suites/choose.js';
import { chooseDriver } from '../../../src/suites/plan.js';
import { folderWith } from '../config/folder.js';

/** In a sandbox an installer finds this host's disks: what partitions disks never starts there. */

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const PARTITIONING = ['nixos', 'nixos-anywhere'] as const;
const refusalOf = (kind: string) => ({
  code: 'UNSUPPORTED_SANDBOX_TARGET',
  message: `vm: kind ${kind} partitions disks, and the disks of a sandbox's programs are this host's own`,
  hint: 'use --driver qemu (prepare it with `nixproof setup`), libvirt or ssh',
});

afterEach(() => vi.unstubAllEnvs());

async function profilesOf(yaml: string, choice: Partial<ProfileChoice> = {}) {
  const cwd = await folderWith({ 'nixproof.yaml': `profiles:\n  vm: ${yaml}\n` });
  const layout = layoutOf(path.join(cwd, 'home'));
  const config = await loadConfig('nixproof.yaml', cwd);
  const wanted = { profiles: [], ...choice };
  return {
    planned: () => chooseProfiles(config, wanted, cwd, createRegistry(layout), { ...work, layout }),
    // What `schedule create` looks at, on a host that need not have the drivers.
    previewed: () => resolveChoice(config, wanted, cwd),
    layout,
  };
}

const flakeOf = (kind: string, driver = '') => `{ ${driver} install: { kind: ${kind}, flake: .#vm } }`;

describe.each(PARTITIONING)('kind %s is refused when it is planned', (kind) => {
  test.each([
    ['by its configuration', flakeOf(kind, 'driver: sandbox,'), {}],
    ['by --driver sandbox', flakeOf(kind), { drivers: ['sandbox'] }],
    ['against its configuration', flakeOf(kind, 'driver: qemu,'), { drivers: ['sandbox'] }],
    ['as one driver of several', flakeOf(kind), { drivers: ['libvirt', 'sandbox'] }],
  ] as const)('for a sandbox: %s', async (_, yaml, choice) => {
    const { planned, previewed } = await profilesOf(yaml, choice);
    await expect(planned()).rejects.toMatchObject(refusalOf(kind));
    await expect(previewed()).rejects.toMatchObject(refusalOf(kind));
  });

  test('for other drivers it is planned, whatever its configuration says', async () => {
    const { planned } = await profilesOf(flakeOf(kind, 'driver: sandbox,'), { drivers: ['libvirt'] });
    expect(await planned()).toMatchObject([{ driver: 'libvirt', install: { kind } }]);
  });

  test('it does not fall back to a sandbox where there is no QEMU', async () => {
    vi.stubEnv('PATH', '/nonexistent');
    const { planned, layout } = await profilesOf(flakeOf(kind));
    await expect(planned()).rejects.toMatchObject({ code: 'HOST_QEMU_MISSING' });
    const baseless = { name: 'vm', install: { kind } } as Profile;
    await expect(chooseDriver(baseless, createRegistry(layout), { ...work, layout })).rejects.toMatchObject(
      refusalOf(kind),
    );
  });
});

test('kind nixos is refused for a sandbox without disko too: nixos-install writes to the host’s /mnt', async () => {
  const { planned } = await profilesOf('{ driver: sandbox, install: { kind: nixos, flake: .#vm, disko: false } }');
  await expect(planned()).rejects.toMatchObject(refusalOf('nixos'));
});

test.each(['{ install: { kind: script, run: ./x } }', '{ install: { kind: nix-check, flake: .#x } }'])(
  'what partitions nothing by itself may run in a sandbox: %s',
  async (yaml) => {
    const { planned } = await profilesOf(yaml, { drivers: ['sandbox'] });
    expect(await planned()).toMatchObject([{ driver: 'sandbox' }]);
  },
);

test.each(PARTITIONING)('a run of kind %s that another client asked for finds no host', async (kind) => {
  const request = { run: 'vm-1', driver: 'sandbox', profile: { name: 'vm', install: { kind } } } as RunRequest;
  await expect(placeRun(request, {} as Placing, work)).rejects.toMatchObject(refusalOf(kind));
});

test('in a sandbox that is there its installer is not started', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-target-'));
  const bin = path.join(home, 'bin');
  await mkdir(bin);
  for (const tool of ['disko', 'nix', 'nixos-install']) {
    await writeFile(path.join(bin, tool), `#!/bin/sh\ntouch '${home}/touched-the-host'\n`);
    await chmod(path.join(bin, tool), 0o755);
  }
  vi.stubEnv('PATH', `${bin}:${process.env['PATH'] ?? ''}`);
  const shape = { memoryMiB: 64, cpus: 1, diskBytes: [1 << 20], firmware: 'uefi' } as const;
  const driver = createSandboxDriver({ layout: layoutOf(home) });
  await using machine = await driver.create({ id: 'vm-1', base: undefined, shape }, work);
  const install = { kind: 'nixos', flake: '.#vm', disko: true, env: {}, timeoutMs: 1000, stallMs: 1000, reboot: true };
  const profile = { name: 'vm', machine: shape, deploy: { to: '/root' }, install } as unknown as Profile;
  const start = { attempt: 1, barrier: false, target: machine };
  const connection = await machine.connect(work);
  await expect(startInstaller(machine, connection, profile, start)).rejects.toMatchObject(refusalOf('nixos'));
  await expect(access(machine.resolvePath('/var/lib/nixproof'))).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(access(path.join(home, 'touched-the-host'))).rejects.toMatchObject({ code: 'ENOENT' });
  await driver.destroy('vm-1', work);
});
