import { defineConfig } from 'vitest/config';

/** Tests that keep the cores busy, most with virtual machines: they come after the others. */
const MACHINES = [
  'test/contract/fleet.contract.test.ts',
  'test/contract/qemu-abilities.contract.test.ts',
  'test/contract/qemu-checkpoints.contract.test.ts',
  'test/contract/qemu.contract.test.ts',
  'test/e2e/drills-together.test.ts',
  'test/e2e/full-disk-qemu.test.ts',
  'test/e2e/healing-qemu.test.ts',
  'test/e2e/proving-ground.test.ts',
  'test/torture/torture.test.ts',
];
/** Those that take long even so: NIXPROOF_TEST_LONG runs them, CI in turn (scripts/rotation.mjs). */
export const LONG = [
  'test/contract/iso.contract.test.ts',
  'test/contract/libvirt.contract.test.ts',
  'test/e2e/drills.test.ts',
  'test/e2e/heals.test.ts',
  'test/e2e/nixos-anywhere-qemu.test.ts',
];
/** How many of those at a time; none by default. */
const long = Number(process.env['NIXPROOF_TEST_LONG'] ?? 0);
const common = {
  testTimeout: 60_000,
  hookTimeout: 300_000,
  setupFiles: ['test/forks-run-source.ts'],
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          // A process for each file costs more than most of them. What a file mocks it puts back.
          isolate: false,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'host',
          include: ['test/**/*.test.ts'],
          exclude: ['test/unit/**', ...MACHINES, ...LONG, 'node_modules/**'],
          // Many wait more than they compute: for heartbeats that do not come, for limits that are up.
          maxWorkers: 3,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...common,
          name: 'machines',
          include: long > 0 ? [...MACHINES, ...LONG] : MACHINES,
          // An emulated machine keeps one core busy.
          maxWorkers: long || 2,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
