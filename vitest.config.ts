import { defineConfig } from 'vitest/config';

/** Tests that keep the cores busy, most with virtual machines: they come after the others. */
const MACHINES = [
  'test/contract/accelerator.contract.test.ts',
  'test/contract/fleet.contract.test.ts',
  'test/contract/qemu-abilities.contract.test.ts',
  'test/contract/qemu-checkpoints.contract.test.ts',
  'test/contract/qemu.contract.test.ts',
  'test/e2e/drills-together.test.ts',
  'test/e2e/full-disk-qemu.test.ts',
  'test/e2e/healing-qemu.test.ts',
  'test/e2e/heals.test.ts',
  'test/e2e/proving-ground.test.ts',
  'test/torture/torture.test.ts',
];
/** Those that take long even so: run where NIXPROOF_TEST_LONG is set, one file at a time. */
const LONG = [
  'test/contract/iso.contract.test.ts',
  'test/contract/libvirt.contract.test.ts',
  'test/e2e/drills.test.ts',
  'test/e2e/nixos-anywhere-qemu.test.ts',
  'test/e2e/whole-qemu.test.ts',
];
const machines = process.env['NIXPROOF_TEST_LONG'] ? [...MACHINES, ...LONG] : MACHINES;
export const common = {
  testTimeout: 60_000,
  hookTimeout: 300_000,
  maxWorkers: 2,
  setupFiles: ['test/forks-run-source.ts'],
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'host',
          include: ['test/**/*.test.ts'],
          exclude: [...MACHINES, ...LONG, 'node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'machines',
          include: machines,
          // An emulated machine keeps one core busy; what takes many minutes is left alone.
          maxWorkers: process.env['NIXPROOF_TEST_LONG'] ? 1 : 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
