import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { ProbeResults } from '../../../src/domain/heal.js';
import { ALL_PROBES, PROBES, readProbes } from '../../../src/healing/probes.js';
import * as readings from '../../../src/healing/parse-probes.js';
import { GUEST, HOST, SANDBOX } from './evidence.js';

const GIB = 1024 ** 3;

function run(argv: readonly string[], env: NodeJS.ProcessEnv) {
  const [file = '', ...rest] = argv;
  return spawnSync(file, rest, { encoding: 'utf8', env });
}

describe('the probes', () => {
  test('have unique names, and were recorded, every one', () => {
    expect(PROBES.map(({ name }) => name)).toEqual(Object.keys(GUEST));
  });

  test.each(PROBES.map(({ name, argv }) => [name, argv] as const))(
    '%s ends well here, and prints a bounded amount',
    (_name, argv) => {
      const { status, stdout, stderr } = run(argv, { PATH: process.env['PATH'] });
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(Buffer.byteLength(stdout)).toBeLessThanOrEqual(32 * 1024);
      expect(spawnSync('sh', ['-n'], { input: argv[2] }).status).toBe(0);
    },
  );

  test.each(PROBES.map(({ name, argv }) => [name, argv] as const))(
    '%s is harmless where no tool is there',
    async (_name, argv) => {
      const bin = await mkdtemp(path.join(tmpdir(), 'nixproof-bin-'));
      onTestFinished(() => rm(bin, { recursive: true }));
      await writeFile(path.join(bin, 'head'), '#!/bin/sh\nwhile read -r line; do echo "$line"; done\n', {
        mode: 0o755,
      });
      const script = (argv[2] ?? '').replace(/^PATH=.*$/m, `PATH=${bin}`);
      expect(run(['/bin/sh', '-c', script], { PATH: bin })).toMatchObject({ status: 0, stderr: '' });
    },
  );

  test('say the same all at once', () => {
    const env = { PATH: process.env['PATH'] };
    const { status, stdout, stderr } = run(ALL_PROBES, env);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    const all = readProbes(stdout);
    expect(Object.keys(all)).toEqual(PROBES.map(({ name }) => name));
    for (const name of ['disks', 'links', 'routes', 'resolver', 'nix', 'file-systems']) {
      const alone = run(PROBES.find((probe) => probe.name === name)?.argv ?? [], env).stdout;
      expect(all[name]).toBe(alone.replace(/[^\t\n -~]/g, '').replace(/\n+$/, ''));
    }
  });

  test.each([
    ['', {}],
    ['machine 5\nroot=\ndisks 0\n\n', { machine: 'root=', disks: '' }],
    ['machine 14\nx\ndisks 1\nevil\ndisks 0\n\n', { machine: 'x\ndisks 1\nevil', disks: '' }],
    ['machine 5\nroot=\ndisks 100\ncut o', { machine: 'root=' }],
    ['no probe\n', {}],
  ])('%j is read as %j', (output, results) => {
    expect(readProbes(output)).toEqual(results);
  });

  test('a command that hangs is ended', async () => {
    const bin = await mkdtemp(path.join(tmpdir(), 'nixproof-bin-'));
    onTestFinished(() => rm(bin, { recursive: true }));
    await writeFile(path.join(bin, 'df'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 });
    const probe = PROBES.find(({ name }) => name === 'space');
    const script = (probe?.argv[2] ?? '').replace(/timeout 10/, 'timeout 0.2');
    expect(run(['sh', '-c', script], { PATH: `${bin}:${process.env['PATH'] ?? ''}` })).toMatchObject({
      status: 0,
      stdout: '',
    });
  });

  test('in a sandbox tell of it and not of its host', async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'nixproof-root-'));
    onTestFinished(() => rm(root, { recursive: true }));
    await mkdir(path.join(root, 'dev'));
    await mkdir(path.join(root, 'etc'));
    await writeFile(path.join(root, 'dev', 'vdb'), 'x'.repeat(4096));
    await writeFile(path.join(root, 'etc', 'resolv.conf'), 'nameserver 192.0.2.7\n');
    const env = { PATH: process.env['PATH'], NIXPROOF_ROOT: root };
    const probes: ProbeResults = Object.fromEntries(PROBES.map(({ name, argv }) => [name, run(argv, env).stdout]));
    expect(readings.sandboxRoot(probes)).toBe(root);
    expect(readings.blockDevices(probes)).toMatchObject([{ path: `${root}/dev/vdb`, sizeBytes: 4096, type: 'disk' }]);
    expect(readings.resolvers(probes)).toEqual(['192.0.2.7']);
    const own = ['links', 'addresses', 'routes', 'leases', 'mounts', 'kernel', 'modules', 'swaps', 'efi-variables'];
    expect(own.map((name) => probes[name])).toEqual(own.map(() => ''));
  });
});

describe('what the probes of a guest say', () => {
  test('its disks', () => {
    expect(readings.blockDevices(GUEST)).toEqual([
      {
        name: 'vda',
        path: '/dev/vda',
        parent: '',
        sizeBytes: 8 * GIB,
        type: 'disk',
        readOnly: false,
        mountpoints: ['/'],
        fileSystem: 'ext4',
      },
      {
        name: 'vdb',
        path: '/dev/vdb',
        parent: '',
        sizeBytes: 3 * GIB,
        type: 'disk',
        readOnly: false,
        mountpoints: [],
        fileSystem: '',
      },
      {
        name: 'vdc',
        path: '/dev/vdc',
        parent: '',
        sizeBytes: 1 * GIB,
        type: 'disk',
        readOnly: false,
        mountpoints: [],
        fileSystem: '',
      },
    ]);
  });

  test('its network', () => {
    expect(readings.networkLinks(GUEST)).toEqual([
      { name: 'lo', isUp: true, hasCarrier: true, isNetwork: false, hasAddress: false },
      { name: 'enp0s4', isUp: true, hasCarrier: true, isNetwork: true, hasAddress: true },
    ]);
    expect(readings.ipv4Addresses(GUEST)).toEqual([{ interface: 'enp0s4', address: '10.0.2.15', prefix: 24 }]);
    expect(readings.gateways(GUEST)).toEqual(['10.0.2.2']);
    expect(readings.hasDefaultRoute(GUEST)).toBe(true);
    expect(readings.leaseOf(GUEST)).toEqual({ resolvers: ['10.0.2.3'], routers: ['10.0.2.2'] });
    expect(readings.resolvers(GUEST)).toEqual(['10.0.2.3']);
    expect(readings.namesResolve(GUEST)).toBe(true);
  });

  test('its memory and space', () => {
    expect(readings.memoryOf(GUEST)).toEqual({ totalKiB: 988_964, availableKiB: 796_772, swapFreeKiB: 0 });
    expect(readings.swaps(GUEST)).toEqual([]);
    const root = readings.fileSystems(GUEST).find(({ mountpoint }) => mountpoint === '/');
    expect(root).toEqual({
      mountpoint: '/',
      device: '/dev/vda',
      type: 'ext4',
      sizeKiB: 8_185_564,
      freeKiB: 7_270_780,
      inodesUsed: expect.closeTo(12_626 / 400_384) as number,
    });
  });

  test('its kernel, firmware and Nix', () => {
    expect(readings.loadedModules(GUEST).has('virtio_blk')).toBe(true);
    expect(readings.knownFileSystems(GUEST).has('btrfs')).toBe(true);
    expect(readings.knownFileSystems(GUEST).has('xfs')).toBe(false);
    expect(readings.efiVariables(GUEST)).toEqual({ isUefi: true, areMounted: true, dumps: 0 });
    expect(readings.nixSettings(GUEST).get('experimental-features')).toBe('flakes nix-command');
    expect(readings.nixSettings(GUEST).get('build-users-group')).toBe('');
  });
});

describe('what others say', () => {
  test('a container', () => {
    expect(readings.networkLinks(HOST).filter(({ isNetwork }) => isNetwork)).toEqual([
      { name: 'eth0', isUp: true, hasCarrier: true, isNetwork: true, hasAddress: true },
    ]);
    expect(readings.gateways(HOST)).toEqual(['192.0.2.1']);
    expect(readings.efiVariables(HOST)).toEqual({ isUefi: false, areMounted: false, dumps: 0 });
  });

  test('an older lsblk, and several mount points', () => {
    const devices = (row: string) => readings.blockDevices({ disks: row });
    expect(
      devices('NAME="sda1" PATH="/dev/sda1" PKNAME="sda" SIZE="1" TYPE="part" RO="1" FSTYPE="" MOUNTPOINT="/a b"'),
    ).toEqual([
      {
        name: 'sda1',
        path: '/dev/sda1',
        parent: 'sda',
        sizeBytes: 1,
        type: 'part',
        readOnly: true,
        mountpoints: ['/a b'],
        fileSystem: '',
      },
    ]);
    expect(devices(String.raw`PATH="/dev/sda1" MOUNTPOINTS="/nix\x0a/"`)[0]?.mountpoints).toEqual(['/nix', '/']);
  });

  test.each([
    ['dhclient', '  option routers 192.0.2.1;\n  option domain-name-servers 192.0.2.53,192.0.2.54;\n'],
    ['NetworkManager', 'ADDRESS=192.0.2.7\nROUTER=192.0.2.1\nDNS=192.0.2.53 192.0.2.54\n'],
  ])('a lease of %s', (_name, leases) => {
    expect(readings.leaseOf({ leases })).toEqual({ resolvers: ['192.0.2.53', '192.0.2.54'], routers: ['192.0.2.1'] });
  });

  test('nothing, or anything but what was asked', () => {
    const noise =
      'segfault\n\0\0 = =\nNAME="x" PATH="../x"\n$(reboot) 1 2 3 4 5\n2: `reboot`: <UP>\nnameserver $(reboot)\ndefault via $(reboot)\n';
    for (const text of ['', noise, noise.repeat(1000)]) {
      const probes = Object.fromEntries(PROBES.map(({ name }) => [name, text]));
      expect(readings.blockDevices(probes)).toEqual([]);
      expect(readings.networkLinks(probes)).toEqual([]);
      expect(readings.resolvers(probes)).toEqual([]);
      expect(readings.gateways(probes)).toEqual([]);
      expect(readings.fileSystems(probes)).toEqual([]);
      expect(readings.memoryOf(probes)).toEqual({ totalKiB: 0, availableKiB: 0, swapFreeKiB: 0 });
    }
    expect(readings.sandboxRoot({})).toBeUndefined();
    expect(readings.sandboxRoot(SANDBOX)).toBe('/home/me/machines/x/root');
  });
});
