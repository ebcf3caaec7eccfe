import { access } from 'node:fs/promises';

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
  // NixOS with virtualisation.libvirtd, and QEMU's own files in a system profile
  { code: '/run/libvirt/nix-ovmf/OVMF_CODE.fd', variables: '/run/libvirt/nix-ovmf/OVMF_VARS.fd' },
  {
    code: '/run/current-system/sw/share/qemu/edk2-x86_64-code.fd',
    variables: '/run/current-system/sw/share/qemu/edk2-i386-vars.fd',
  },
  // Homebrew, and QEMU built from source
  { code: '/opt/homebrew/share/qemu/edk2-x86_64-code.fd', variables: '/opt/homebrew/share/qemu/edk2-i386-vars.fd' },
  { code: '/usr/local/share/qemu/edk2-x86_64-code.fd', variables: '/usr/local/share/qemu/edk2-i386-vars.fd' },
];

/** The first pair of the table that this host has. */
export async function findUefi(places: readonly UefiFirmware[] = UEFI_PLACES): Promise<UefiFirmware | undefined> {
  for (const place of places) {
    const there = await Promise.all(
      [place.code, place.variables].map((file) =>
        access(file).then(
          () => true,
          () => false,
        ),
      ),
    );
    if (there.every(Boolean)) return place;
  }
  return undefined;
}
