import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import { layoutOf } from '../../src/host/paths.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { hasOrSkip } from '../contract/requirements.js';
import { onlyRun, openBench, type Bench } from './bench.js';

const GROUND = fileURLToPath(new URL('../fixtures/proving-ground/', import.meta.url));
/** The stand-in that takes nixos-anywhere's options. */
const STAND_IN = fileURLToPath(new URL('../fixtures/nixos-anywhere/', import.meta.url));
const MINUTE_MS = 60_000;
/** Emulation on a loaded machine: a deadline, not an expectation. */
const DEADLINE_MS = 60 * MINUTE_MS;

const CONFIG = `profiles:
  vm:
    base: debian
    machine: { memory: 2048, cpus: 1, disks: [4G], firmware: uefi }
    install:
      kind: nixos-anywhere
      flake: .#vm
      args: [--option, extra-sandbox-paths, /bin/busybox]
      timeout: 30m
      stall: 10m
    checks:
      - { name: root is btrfs, run: findmnt -no FSTYPE /, expect: btrfs }
      - { name: root is the target disk, run: findmnt -no SOURCE /, match: ^/dev/vda }
      - { name: the system is running, run: systemctl is-system-running --wait, expect: running }
      - { name: hostname, run: hostname, expect: proving-vm }
`;

/** A real machine, partitioned, formatted and installed from this host; its flake names a disk that it has not. */
describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'nixos-anywhere (a stand-in) on qemu',
  () => {
    let bench: Bench;
    let folder: string;
    let exit: unknown;
    let run: RunReport;

    beforeAll(async () => {
      bench = await openBench('own', { PATH: `${STAND_IN}:${process.env['PATH'] ?? ''}` });
      await bench.worker();
      folder = await mkdtemp(path.join(tmpdir(), 'nixproof-anywhere-'));
      await cp(GROUND, folder, { recursive: true });
      const layout = path.join(folder, 'disko/uefi.nix');
      await writeFile(layout, (await readFile(layout, 'utf8')).replace('/dev/vdb', '/dev/sda'));
      await writeFile(path.join(folder, 'nixproof.yaml'), CONFIG);
      expect(await bench.np(folder, 'setup', '--base', 'debian')).toMatchObject({ exit: 0 });
      const ended = await bench.np(folder, 'test', 'vm', '--driver', 'qemu', '--json');
      exit = ended.exit;
      run = onlyRun(ended);
    }, DEADLINE_MS);

    afterAll(async () => {
      await bench[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    }, 2 * MINUTE_MS);

    test('the disk that is not there is diagnosed, and the flake’s copy on this host healed', async () => {
      expect(run).toMatchObject({
        verdict: 'healed',
        attempts: 2,
        failures: [{ class: 'disk.not-found', phase: 'DISKO' }],
        heals: [{ name: 'use-the-found-disk', outcome: 'worked', resumed: 'rerun' }],
      });
      expect(exit).toBe(0);
      expect((await bench.np('/', 'patch', run.run)).stdout).toContain('+    device = "/dev/vdb";');
    });

    test('its steps are phases, and the installed system boots from its own disk and passes its checks', () => {
      const phases = run.phases.filter(({ attempt }) => attempt === 2).map(({ name }) => name);
      expect(phases).toEqual(['CONNECT', 'BUILD', 'PREPARE', 'KEXEC', 'DISKO_BUILD', 'DISKO', 'INSTALL', 'BOOT']);
      expect(run.bootedInstalled).toBe(true);
      expect(run.checks.filter(({ status }) => status !== 'pass')).toEqual([]);
    });

    test('nothing of the machine or its installer is left on the host', () => bench.expectNothingLeft(), 3 * MINUTE_MS);
  },
);
