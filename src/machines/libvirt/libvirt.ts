import { NixproofError } from '../../domain/error.js';
import type { Accelerator } from '../../domain/profile.js';
import { describeInstallation, findInstallation, type Installation } from '../hypervisor/installation.js';
import { virshAt, type Virsh } from './virsh.js';

/** The libvirt of this host and what it can do. */
export interface Libvirt {
  readonly virsh: Virsh;
  /** `qemu:///system`: what virsh chose, and is told from then on. */
  readonly uri: string;
  /** `9.0.0`. */
  readonly version: string;
  readonly securityModels: readonly string[];
  /** The QEMU that it runs, as libvirt runs it. */
  readonly installation: Installation;
}

/**
 * Looks for libvirt, connects to it and asks what it can do.
 * @param uri where it must be; undefined leaves the choice to virsh
 * @param accelerator the one that a profile names; the environment wins over it
 * @throws NixproofError `HOST_LIBVIRT_MISSING`, `HOST_LIBVIRT_UNREACHABLE`,
 * `UNSUPPORTED_LIBVIRT_URI`, `HOST_QEMU_MISSING`, `HOST_ACCELERATOR_MISSING`
 */
export async function findLibvirt(
  uri: string | undefined,
  signal: AbortSignal,
  accelerator?: Accelerator,
): Promise<Libvirt> {
  const chosen = uri ?? (await virshAt(undefined).run(['uri'], { signal })).trim();
  requireLocalQemu(chosen);
  const virsh = virshAt(chosen);
  const version = /^Using library: libvirt (\S+)$/m.exec(await virsh.run(['version'], { signal }))?.[1] ?? 'unknown';
  const found = await findInstallation(signal, accelerator);
  const capabilities = await virsh.run(['capabilities'], { signal });
  return {
    virsh,
    uri: chosen,
    version,
    securityModels: securityModels(capabilities),
    installation: found.accelerator === 'kvm' && !(await offersKvm(virsh, signal)) ? withoutKvm(found) : found,
  };
}

function withoutKvm(found: Installation): Installation {
  const acceleratorReason = 'libvirt offers no kvm';
  if (!found.chosen) return { ...found, accelerator: 'tcg', acceleratorReason, proof: undefined };
  throw new NixproofError('HOST_ACCELERATOR_MISSING', `kvm was asked for: ${acceleratorReason}`, {
    hint: 'let libvirt use /dev/kvm (`virsh domcapabilities --virttype kvm`), or set NIXPROOF_ACCELERATOR=auto',
    details: { accelerator: 'kvm' },
  });
}

/** Disks and consoles are files of this host. */
function requireLocalQemu(uri: string): void {
  if (/^qemu(\+unix)?:\/\/\//.test(uri)) return;
  throw new NixproofError('UNSUPPORTED_LIBVIRT_URI', `machines cannot be made at ${uri}`, {
    hint: 'set LIBVIRT_DEFAULT_URI to qemu:///system or qemu:///session, and run a worker on each other host',
    details: { uri },
  });
}

/** Whether libvirt gives its machines what QEMU by itself has. */
async function offersKvm(virsh: Virsh, signal: AbortSignal): Promise<boolean> {
  const args = ['domcapabilities', '--virttype', 'kvm', '--arch', 'x86_64', '--machine', 'q35'];
  return virsh.run(args, { signal }).then(
    (text) => text.includes('<domain>kvm</domain>'),
    () => false,
  );
}

/** What confines QEMU on this host, from libvirt's capabilities (formatcaps: `secmodel`). */
export function securityModels(capabilities: string): readonly string[] {
  return [...capabilities.matchAll(/<secmodel>\s*<model>(\w+)<\/model>/g)].map(([, model]) => model ?? '');
}

/** How libvirt works here, for people: `libvirt 9.0.0, qemu:///system, QEMU 7.2.22, kvm, uefi and bios`. */
export function describeLibvirt({ version, uri, installation }: Libvirt): string {
  return `libvirt ${version}, ${uri}, ${describeInstallation(installation)}`;
}
