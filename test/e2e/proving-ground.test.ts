import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { layoutOf } from '../../src/host/paths.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { runFiles } from '../../src/records/artifacts.js';
import { hasOrSkip } from '../contract/requirements.js';
import { openBench, parsed, type Bench } from './bench.js';

const GROUND = fileURLToPath(new URL('../fixtures/proving-ground/', import.meta.url));
/** All of them, unless some are named. */
const PROFILES = process.env['NIXPROOF_TEST_PROFILES']?.split(',') ?? ['vm', 'workstation', 'server', 'server-bios'];
const FIRST = PROFILES[0] ?? '';
const MINUTE_MS = 60_000;
/** Emulation on a loaded machine: a deadline, not an expectation. */
const DEADLINE_MS = 60 * MINUTE_MS;

const phaseNames = ({ phases }: RunReport) => phases.map(({ name }) => name);

/** Real machines, partitions, Nix builds and boots, in two at a time; and a worker that dies in the middle of an install. */
describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'the proving ground on qemu',
  () => {
    let bench: Bench;
    const reports = new Map<string, RunReport>();
    const report = (profile: string) => reports.get(profile) as RunReport;
    let exit: unknown;

    beforeAll(async () => {
      bench = await openBench('own');
      const first = await bench.worker();
      const setup = await bench.np(GROUND, 'setup', '--base', 'debian');
      expect(setup).toMatchObject({ exit: 0 });
      const suite = bench.start(GROUND, 'test', ...PROFILES, '--driver', 'qemu', '--parallel', '2', '--json');
      await Promise.race([suite.says(/NIX_BUILD/, DEADLINE_MS), suite.ended]);
      first.kill('SIGKILL');
      await bench.worker();
      const ended = await suite.ended;
      exit = ended.exit;
      for (const run of parsed<SuiteReport>(ended).runs) reports.set(run.profile, run);
    }, DEADLINE_MS);

    afterAll(() => bench[Symbol.asyncDispose](), 2 * MINUTE_MS);

    test('every profile passed', () => {
      const verdicts = PROFILES.map((profile) => [
        profile,
        report(profile).verdict,
        report(profile).checks.filter(({ status }) => status !== 'pass'),
      ]);
      const failures = PROFILES.flatMap((profile) => [...report(profile).failures, report(profile).fault ?? []]);
      expect(verdicts, JSON.stringify(failures)).toEqual(PROFILES.map((profile) => [profile, 'passed', []]));
      expect(exit).toBe(0);
    });

    test.each(PROFILES)('%s was checked on the system that booted from its own disk', (profile) => {
      const { bootedInstalled, checks } = report(profile);
      expect(bootedInstalled).toBe(true);
      expect(checks.find(({ name }) => name === 'root is btrfs')).toMatchObject({ status: 'pass', detail: 'btrfs' });
      expect(checks.find(({ name }) => name === 'reboots survived')).toMatchObject({
        status: 'pass',
        detail: 'came back 2 times',
      });
    });

    test.each(PROFILES)('%s: the installer ran once, and its log is the guest’s to the byte', async (profile) => {
      const { run, log, attempts, historyEvents } = report(profile);
      const text = await readFile(runFiles(bench.layout.runs, run).attempt(1).log, 'utf8');
      expect(text.match(/^::PHASE::DISK_PARTITIONING$/gm)).toHaveLength(1);
      expect({ attempts, verified: log.verified }).toEqual({ attempts: 1, verified: true });
      expect(historyEvents).toBeLessThan(200);
    });

    test.each(PROFILES)('%s: the phases are those of its installer', (profile) => {
      const nixos = ['DISK_PARTITIONING', 'NIX_BUILD', 'NIXOS_INSTALL', 'BOOT'];
      if (profile === 'server-bios') expect(phaseNames(report(profile))).toContain('BOOTLOADER');
      else expect(phaseNames(report(profile))).toEqual(nixos);
    });

    test.each(PROFILES)('%s: what its guest and its QEMU used was measured all the while', (profile) => {
      const { metrics } = report(profile);
      const values = (name: string) => (metrics[name] ?? []).map(([, value]) => value);
      const GIB = 1024 ** 3;
      const within = (name: string, low: number, high: number) => {
        expect({ name, samples: values(name).length > 2 }).toEqual({ name, samples: true });
        for (const value of values(name)) expect(value).toBeGreaterThanOrEqual(low);
        for (const value of values(name)) expect(value).toBeLessThan(high);
      };
      within('guest.cpu', 0, 1.2);
      within('guest.memory.used', 0.05 * GIB, 2 * GIB);
      within('guest.network.receive', 0, GIB);
      within('vm.cpu', 0, 16);
      within('vm.memory', 0.05 * GIB, 8 * GIB);
      // A system was written to its disk.
      expect(Math.max(...values('guest.disk.write'))).toBeGreaterThan(1024 * 1024);
      expect(Math.max(...values('vm.disk.write'))).toBeGreaterThan(1024 * 1024);
      expect(Object.keys(metrics).filter((name) => name.startsWith('host.'))).toEqual([]);
    });

    test('what the machines left is collected: console, journal, kernel log', async () => {
      const files = runFiles(bench.layout.runs, report(FIRST).run);
      expect(await readFile(files.console, 'utf8')).toMatch(/Linux version/);
      expect(await readFile(`${files.collected}/journal.log`, 'utf8')).toMatch(/systemd\[1\]/);
      expect(await readFile(`${files.collected}/dmesg.log`, 'utf8')).toMatch(/BTRFS/);
    });

    test('nothing of the machines is left on the host', () => bench.expectNothingLeft(), 3 * MINUTE_MS);
  },
);
