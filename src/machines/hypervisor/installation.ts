import { hasCode, NixproofError } from '../../domain/error.js';
import type { Accelerator, MachineShape } from '../../domain/profile.js';
import { runCommand } from '../../host/process.js';
import { type AcceleratorFinding, findAccelerator, type QemuHost, thisHost } from './accelerator.js';
import { isConfinable } from './confinement.js';
import { findUefi, type UefiFirmware } from './firmware.js';

/** The QEMU of this host and what it can do. */
export interface Installation extends AcceleratorFinding {
  /** Where it was found. */
  readonly host: QemuHost;
  /** `7.2.22`. */
  readonly version: string;
  readonly uefi: UefiFirmware | undefined;
  /** Whether a QEMU here can be kept from starting programs. */
  readonly confined: boolean;
}

const INSTALL_HINT =
  'install QEMU: `apt-get install qemu-system-x86 qemu-utils ovmf`, `dnf install qemu-kvm qemu-img edk2-ovmf`, `nix profile install nixpkgs#qemu` or `brew install qemu`';

/**
 * Looks for QEMU and what it can do.
 * @param accelerator the one that a profile names; the environment wins over it
 * @throws NixproofError `HOST_QEMU_MISSING`, `HOST_ACCELERATOR_MISSING`
 */
export async function findInstallation(
  signal: AbortSignal,
  accelerator?: Accelerator,
  host: QemuHost = thisHost(),
): Promise<Installation> {
  const [version] = await Promise.all([versionOf(host.binary, signal), versionOf('qemu-img', signal)]);
  const [found, uefi, confined] = await Promise.all([
    findAccelerator(host, version, accelerator, signal),
    findUefi(),
    isConfinable(host.binary),
  ]);
  return { host, version, uefi, confined, ...found };
}

async function versionOf(binary: string, signal: AbortSignal): Promise<string> {
  try {
    const text = await runCommand(binary, ['--version'], { signal });
    return /version (\d+(?:\.\d+)+)/.exec(text)?.[1] ?? 'unknown';
  } catch (error) {
    if (!hasCode(error, 'HOST_TOOL_MISSING')) throw error;
    throw new NixproofError('HOST_QEMU_MISSING', `${binary} is not installed`, { hint: INSTALL_HINT, cause: error });
  }
}

/** How QEMU works here, for people: `QEMU 7.2.22, tcg (there is no /dev/kvm), uefi and bios`. */
export function describeInstallation(
  installation: Pick<Installation, 'version' | 'uefi' | 'confined'> & Reason,
): string {
  const firmware = installation.uefi ? 'uefi and bios' : 'bios only: no OVMF was found';
  const confinement = installation.confined ? '' : ', not confined: it has no seccomp here';
  return `QEMU ${installation.version}, ${describeAccelerator(installation)}, ${firmware}${confinement}`;
}

type Reason = Pick<AcceleratorFinding, 'accelerator' | 'acceleratorReason'>;

/** What executes a machine's instructions, for reports: `kvm`, `tcg (there is no /dev/kvm)`. */
export function describeAccelerator({ accelerator, acceleratorReason }: Reason): string {
  return acceleratorReason === undefined ? accelerator : `${accelerator} (${acceleratorReason})`;
}

/**
 * The hardware a machine gets here. Emulated, OVMF hung in 1 of 11 resets where it has to start a second processor
 * (seen with QEMU 7.2 and edk2 2022.11: the first spins in the firmware, the second never wakes), so UEFI machines get one.
 */
export function possibleShape(shape: MachineShape, { accelerator }: Installation): MachineShape {
  return accelerator === 'tcg' && shape.firmware === 'uefi' ? { ...shape, cpus: 1 } : shape;
}
