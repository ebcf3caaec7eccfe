import { access, realpath } from 'node:fs/promises';
import path from 'node:path';

/** UEFI for a virtual machine: the code, and the variables' store that every machine gets its own copy of. */
export interface UefiFirmware {
  readonly code: string;
  readonly variables: string;
}

/** Where distributions put OVMF without secure boot for x86-64. Code and variables of a pair belong together. */
export const UEFI_PLACES: readonly UefiFirmware[] = [
  // Debian, Ubuntu
  { code: '/usr/share/OVMF/OVMF_CODE_4M.fd', variables: '/usr/share/OVMF/OVMF_VARS_4M.fd' },
  { code: '/usr/share/OVMF/OVMF_CODE.fd', variables: '/usr/share/OVMF/OVMF_VARS.fd' },
  // Fedora
  { code: '/usr/share/edk2/ovmf/OVMF_CODE.fd', variables: '/usr/share/edk2/ovmf/OVMF_VARS.fd' },
  // Arch
  { code: '/usr/share/edk2/x64/OVMF_CODE.4m.fd', variables: '/usr/share/edk2/x64/OVMF_VARS.4m.fd' },
  { code: '/usr/share/edk2-ovmf/x64/OVMF_CODE.fd', variables: '/usr/share/edk2-ovmf/x64/OVMF_VARS.fd' },
  // openSUSE
  { code: '/usr/share/qemu/ovmf-x86_64-code.bin', variables: '/usr/share/qemu/ovmf-x86_64-vars.bin' },
];

/**
 * The first pair that this host has: one of the table, else the one that QEMU itself brings, as on
 * NixOS and from Homebrew.
 */
export async function findUefi(
  places: readonly UefiFirmware[] = UEFI_PLACES,
  searchPath = process.env['PATH'] ?? '',
): Promise<UefiFirmware | undefined> {
  for (const place of [...places, ...(await besideQemu(searchPath))]) {
    const there = await Promise.all([place.code, place.variables].map(isThere));
    if (there.every(Boolean)) return place;
  }
  return undefined;
}

/** Where an installation of QEMU keeps its own: share/qemu beside the folder of the real binary. */
async function besideQemu(searchPath: string): Promise<readonly UefiFirmware[]> {
  const binaries = searchPath.split(path.delimiter).map((folder) => path.join(folder, 'qemu-system-x86_64'));
  const found = await Promise.all(binaries.map((file) => realpath(file).catch(() => undefined)));
  return found.flatMap((file) => {
    if (file === undefined) return [];
    const folder = path.join(path.dirname(file), '../share/qemu');
    return [{ code: path.join(folder, 'edk2-x86_64-code.fd'), variables: path.join(folder, 'edk2-i386-vars.fd') }];
  });
}

function isThere(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
