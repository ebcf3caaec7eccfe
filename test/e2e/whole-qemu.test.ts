import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layoutOf } from '../../src/host/paths.js';
import type { RunReport } from '../../src/domain/run.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { GRUB_TARGETS, INSTALL } from '../contract/installation.js';
import { hasOrSkip } from '../contract/requirements.js';
import { onlyRun, openBench, parsed, type Bench } from './bench.js';

const MINUTE_MS = 60_000;
/** Emulation on a loaded machine: a deadline, not an expectation. */
const DEADLINE_MS = 40 * MINUTE_MS;

const FILES = {
  'nixproof.yaml': JSON.stringify({
    profiles: {
      whole: {
        driver: 'qemu',
        base: 'debian',
        machine: { memory: 1024, cpus: 1, disks: ['3G', '1G'] },
        install: { kind: 'script', run: './install.sh' },
        checks: [
          { name: 'the first phase ran once', run: 'cat /etc/prepared', expect: 'prepared' },
          { name: 'it was installed', run: 'cat /etc/installed', expect: 'yes' },
          { name: 'the firmware', run: 'test -d /sys/firmware/efi' },
          { name: 'the disks have their sizes', run: 'lsblk -dnbo SIZE /dev/vda', expect: String(3 * 1024 ** 3) },
          { name: 'sshd is active', service: 'ssh' },
          { name: 'it survives a reboot', reboot: 1 },
        ],
      },
    },
    healing: {
      heals: [{ name: 'mend', for: 'network.http', confidence: 0.9, run: ['touch /run/mended'], resume: 'phase' }],
    },
  }),
  // What the heal mends is in memory: it is there in the second try of a phase only if the machine
  // went back to its checkpoint.
  'install.sh': `#!/bin/sh
set -eu
nixproof-phase PREPARE
echo prepared >>/etc/prepared
nixproof-phase INSTALL
[ -e /run/mended ] || { echo "curl: (22) The requested URL returned error: 404"; exit 1; }
sh ./live-system.sh "$NIXPROOF_DISK" ${GRUB_TARGETS.uefi}
nixproof-phase DONE
`,
  'live-system.sh': INSTALL,
};

/**
 * One test from a clone to the checks, with this host's QEMU and tools: run with those of other
 * Debians by scripts/in-debian.mjs.
 */
describe.runIf(await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) })))(
  'a whole test on qemu',
  () => {
    let bench: Bench;
    let run: RunReport;
    let doctor: readonly { name: string; status: string; detail: string; proof?: string }[];

    beforeAll(async () => {
      bench = await openBench('own');
      await bench.worker();
      const folder = await bench.folder(FILES);
      const setup = await bench.np(folder, 'setup', '--base', 'debian');
      expect(setup).toMatchObject({ exit: 0 });
      const found = await bench.np(folder, 'doctor', '--json');
      doctor = parsed<{ checks: typeof doctor }>(found).checks;
      run = onlyRun(await bench.np(folder, 'test', '--json'));
    }, DEADLINE_MS);
    afterAll(() => bench[Symbol.asyncDispose](), 2 * MINUTE_MS);

    test('the base is proved by a clone that answers, and the accelerator by the base', () => {
      const check = (name: string) => doctor.find((one) => one.name === name);
      expect(check('base:debian')).toMatchObject({
        status: 'ok',
        detail: expect.stringMatching(/^a clone answered after [\d.]+ s: qemu /) as string,
      });
      expect(check('accelerator')).toMatchObject({
        proof: expect.stringMatching(/^debian ran with Linux 6\./) as string,
      });
      expect(check('firmware')).toMatchObject({ status: 'ok', detail: expect.stringMatching(/^\//) as string });
    });

    test('the machine went back to its checkpoint, was installed, restarted and checked', () => {
      console.warn(
        `${run.notes.join('\n')}\n${JSON.stringify({ durationMs: run.durationMs, checkpoints: run.checkpoints })}`,
      );
      expect(run, JSON.stringify(run)).toMatchObject({
        verdict: 'healed',
        attempts: 2,
        failures: [{ class: 'network.http', phase: 'INSTALL' }],
        heals: [{ name: 'mend', outcome: 'worked', resumed: 'phase' }],
        bootedInstalled: true,
        log: { verified: true },
      });
      expect(run.checks.map(({ name, status }) => `${name}: ${status}`)).toEqual([
        'the first phase ran once: pass',
        'it was installed: pass',
        'the firmware: pass',
        'the disks have their sizes: pass',
        'sshd is active: pass',
        'it survives a reboot: pass',
      ]);
      expect(run.checkpoints.length).toBeGreaterThan(1);
    });

    test('the report says what its machine ran on, and why', () => {
      expect(run.notes.join('\n')).toMatch(/^qemu \d+\.\d+\S*, (kvm|hvf|tcg \(.+\)), uefi, 1 cpu$/m);
    });

    test('nothing of the machine is left on the host', () => bench.expectNothingLeft(), 3 * MINUTE_MS);
  },
);
