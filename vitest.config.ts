import { defineConfig } from 'vitest/config';

/** Tests that boot virtual machines keep every core busy: they come after the others, and one after the other. */
const MACHINES = [
  'test/contract/libvirt.contract.test.ts',
  'test/contract/iso.contract.test.ts',
  'test/contract/qemu-abilities.contract.test.ts',
  'test/contract/qemu-checkpoints.contract.test.ts',
  'test/contract/qemu.contract.test.ts',
  'test/e2e/drills.test.ts',
  'test/e2e/healing-qemu.test.ts',
  'test/e2e/heals.test.ts',
  'test/e2e/proving-ground.test.ts',
];
const common = { testTimeout: 60_000, hookTimeout: 300_000, maxWorkers: 2 };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          ...common,
          name: 'host',
          include: ['test/**/*.test.ts'],
          exclude: [...MACHINES, 'node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: { ...common, name: 'machines', include: MACHINES, maxWorkers: 1, sequence: { groupOrder: 1 } },
      },
    ],
  },
});
