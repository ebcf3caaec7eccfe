/**
 * The slowest files of every run, slowest first: they begin first, so that none runs alone at the
 * end. A fresh clone does not know how long a file takes.
 */
export const SLOWEST = [
  'test/e2e/schedules.test.ts',
  'test/e2e/host-loss.test.ts',
  'test/contract/ssh.contract.test.ts',
  'test/workflow/host-loss.test.ts',
  'test/e2e/interrupt.test.ts',
  'test/e2e/healing.test.ts',
  'test/e2e/durability.test.ts',
  'test/e2e/vm.test.ts',
  'test/e2e/full-disk.test.ts',
  'test/e2e/stack.test.ts',
  'test/e2e/nixos-anywhere.test.ts',
  'test/torture/torture.test.ts',
];
/**
 * Tests that take long even so, most with virtual machines: NIXPROOF_TEST_LONG runs them, CI in
 * turn (scripts/rotation.mjs).
 */
export const LONG = [
  'test/contract/accelerator.contract.test.ts',
  'test/contract/fleet.contract.test.ts',
  'test/contract/guest-network.contract.test.ts',
  'test/contract/iso.contract.test.ts',
  'test/contract/libvirt.contract.test.ts',
  'test/contract/qemu-abilities.contract.test.ts',
  'test/contract/qemu-checkpoints.contract.test.ts',
  'test/contract/qemu.contract.test.ts',
  'test/e2e/drills.test.ts',
  'test/e2e/full-disk-qemu.test.ts',
  'test/e2e/healing-qemu.test.ts',
  'test/e2e/heals.test.ts',
  'test/e2e/nixos-anywhere-qemu.test.ts',
  'test/e2e/proving-ground.test.ts',
  'test/e2e/whole-qemu.test.ts',
  'test/torture/seeds.test.ts',
];
