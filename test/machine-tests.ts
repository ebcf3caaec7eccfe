/**
 * Tests that keep the cores busy, most with virtual machines: they come after the others, longest
 * first, so that none runs alone at the end.
 */
export const MACHINES = [
  'test/e2e/drills-together.test.ts',
  'test/e2e/proving-ground.test.ts',
  'test/e2e/full-disk-qemu.test.ts',
  'test/e2e/healing-qemu.test.ts',
  'test/torture/torture.test.ts',
  'test/contract/qemu.contract.test.ts',
  'test/contract/qemu-abilities.contract.test.ts',
  'test/contract/fleet.contract.test.ts',
  'test/contract/qemu-checkpoints.contract.test.ts',
  'test/contract/guest-network.contract.test.ts',
];
/**
 * Those that take long even so: NIXPROOF_TEST_LONG runs them, CI in turn (scripts/rotation.mjs).
 */
export const LONG = [
  'test/contract/accelerator.contract.test.ts',
  'test/contract/iso.contract.test.ts',
  'test/contract/libvirt.contract.test.ts',
  'test/e2e/drills.test.ts',
  'test/e2e/heals.test.ts',
  'test/e2e/nixos-anywhere-qemu.test.ts',
  'test/e2e/whole-qemu.test.ts',
];
