import { NixproofError } from './error.js';
import type { DriverName, Installation, Profile } from './profile.js';

/** What each kind of installer does to where it runs. */
interface InstallerTraits {
  /**
   * Whether it partitions, mounts and boots from the disks that a configuration names. On a machine
   * of its own those are the machine's; in a sandbox they are the host's. A script is its author's:
   * it can do the same, and is allowed in a sandbox, which is no security boundary.
   */
  readonly partitionsDisks: boolean;
  /**
   * Whether it runs on the host, in a sandbox of its own, and installs the machine from outside.
   */
  readonly fromOutside: boolean;
  /**
   * Programs of the host that it runs, whatever its configuration's environment and folders have;
   * none: it uses the machine's.
   */
  readonly hostTools: readonly string[];
}

const INSTALLERS: Readonly<Record<Installation['kind'], InstallerTraits>> = {
  script: { partitionsDisks: false, fromOutside: false, hostTools: [] },
  nixos: { partitionsDisks: true, fromOutside: false, hostTools: [] },
  'nix-check': { partitionsDisks: false, fromOutside: false, hostTools: ['nix'] },
  'nixos-anywhere': { partitionsDisks: true, fromOutside: true, hostTools: ['nixos-anywhere', 'ssh'] },
};

/**
 * Whether the installer runs on the host, in a sandbox of its own, and installs the machine from
 * outside.
 */
export function installsFromOutside({ kind }: Installation): boolean {
  return INSTALLERS[kind].fromOutside;
}

/** The programs of the host that an installer runs there. */
export function hostToolsOf({ kind }: Installation): readonly string[] {
  return INSTALLERS[kind].hostTools;
}

/**
 * Refuses to install what partitions disks where the disks are the host's own. Nothing overrides
 * it.
 * @param driver of the machine that is installed
 * @throws NixproofError `UNSUPPORTED_SANDBOX_TARGET`
 */
export function requireOwnDisks(
  { name, install: { kind } }: Pick<Profile, 'name' | 'install'>,
  driver: DriverName,
): void {
  if (driver !== 'sandbox' || !INSTALLERS[kind].partitionsDisks) return;
  throw new NixproofError(
    'UNSUPPORTED_SANDBOX_TARGET',
    `${name}: kind ${kind} partitions disks, and the disks of a sandbox's programs are this host's own`,
    {
      hint: 'use --driver qemu (prepare it with `nixproof setup`), libvirt or ssh',
      details: { profile: name, kind },
    },
  );
}
