import { NixproofError } from '../../domain/error.js';
import type { MachineShape } from '../../domain/profile.js';
import { runCommand } from '../../host/process.js';
import { type Accelerator, findAccelerator } from './accelerator.js';
import { findUefi, type UefiFirmware } from './firmware.js';

/** The QEMU of this host and what it can do. */
export interface Installation {
  readonly binary: string;
  /** `7.2.22`. */
  readonly version: string;
  readonly accelerator: Accelerator;
  /** Why there is no hardware acceleration, where there is none. */
  readonly acceleratorReason: string | undefined;
  readonly uefi: UefiFirmware | undefined;
}

const BINARY = 'qemu-system-x86_64';
const INSTALL_HINT =
  'install QEMU: `apt-get install qemu-system-x86 qemu-utils ovmf`, `dnf install qemu-kvm qemu-img edk2-ovmf`, `nix profile install nixpkgs#qemu` or `brew install qemu`';

/**
 * Looks for QEMU and tries it.
 * @throws NixproofError `HOST_QEMU_MISSING`
 */
export async function findInstallation(cache: string, signal: AbortSignal): Promise<Installation> {
  const [version] = await Promise.all([versionOf(BINARY, signal), versionOf('qemu-img', signal)]);
  const [found, uefi] = await Promise.all([findAccelerator(BINARY, version, cache, signal), findUefi()]);
  return { binary: BINARY, version, uefi, ...found };
}

async function versionOf(binary: string, signal: AbortSignal): Promise<string> {
  try {
    const text = await runCommand(binary, ['--version'], { signal });
    return /version (\d+(?:\.\d+)+)/.exec(text)?.[1] ?? 'unknown';
  } catch (error) {
    if (!(error instanceof NixproofError) || error.code !== 'HOST_TOOL_MISSING') throw error;
    throw new NixproofError('HOST_QEMU_MISSING', `${binary} is not installed`, { hint: INSTALL_HINT, cause: error });
  }
}

/** How QEMU works here, for people: `QEMU 7.2.22, tcg (kvm opens, but kills its guest), uefi and bios`. */
export function describeInstallation({ version, accelerator, acceleratorReason, uefi }: Installation): string {
  const why = acceleratorReason === undefined ? '' : ` (${acceleratorReason})`;
  const firmware = uefi ? 'uefi and bios' : 'bios only: no OVMF was found';
  return `QEMU ${version}, ${accelerator}${why}, ${firmware}`;
}

/**
 * The hardware a machine gets here. Emulated, OVMF hung in 1 of 11 resets where it has to start a second processor
 * (seen with QEMU 7.2 and edk2 2022.11: the first spins in the firmware, the second never wakes), so UEFI machines get one.
 */
export function possibleShape(shape: MachineShape, { accelerator }: Installation): MachineShape {
  return accelerator === 'tcg' && shape.firmware === 'uefi' ? { ...shape, cpus: 1 } : shape;
}
