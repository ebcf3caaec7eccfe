import { NixproofError } from '../../domain/error.js';
import { writeWhole } from '../../host/files.js';
import { forwardedPort } from '../qemu/qmp.js';
import { METADATA_URI, USER_NETWORK } from './domain-xml.js';
import type { DomainIdentity } from './identity.js';
import type { Virsh } from './virsh.js';

/** Whether the machine's domain runs, or stands still for a moment. One of another home has another UUID. */
export async function isDomainActive(virsh: Virsh, { uuid }: DomainIdentity, signal?: AbortSignal): Promise<boolean> {
  return (await uuids(virsh, [], signal)).includes(uuid);
}

async function uuids(virsh: Virsh, which: readonly string[], signal?: AbortSignal): Promise<readonly string[]> {
  const text = await virsh.run(['list', '--uuid', ...which], signal ? { signal } : {});
  return text.split('\n').map((line) => line.trim());
}

/** Whether the machine's domain is there and carries the mark of this home. */
async function isOurs(virsh: Virsh, { uuid, home, id }: DomainIdentity, signal?: AbortSignal): Promise<boolean> {
  if (!(await uuids(virsh, ['--all'], signal)).includes(uuid)) return false;
  const mark = await virsh.run(['metadata', uuid, '--uri', METADATA_URI], signal ? { signal } : {}).catch(() => '');
  const says = (key: string, value: string) => new RegExp(`\\b${key}=["']${value}["']`).test(mark);
  return says('home', home) && says('id', id);
}

/**
 * Defines the machine's domain, or defines it anew. The XML stays beside its disks, for people.
 * @throws NixproofError `HOST_DOMAIN_TAKEN` where another domain has its name
 */
export async function defineDomain(
  virsh: Virsh,
  { name }: DomainIdentity,
  xml: { readonly text: string; readonly file: string },
  signal: AbortSignal,
): Promise<void> {
  await writeWhole(xml.file, xml.text);
  try {
    await virsh.run(['define', xml.file], { signal });
  } catch (error) {
    if (!(error instanceof NixproofError) || !/already exists with uuid/.test(error.message)) throw error;
    throw new NixproofError('HOST_DOMAIN_TAKEN', `libvirt has another domain named ${name}`, {
      hint: `look at it with \`virsh dumpxml ${name}\`: it is not of this home`,
      details: { domain: name },
      cause: error,
    });
  }
}

/** @param paused whether its guest waits until it is resumed */
export async function startDomain(
  virsh: Virsh,
  { uuid }: DomainIdentity,
  paused: boolean,
  signal: AbortSignal,
): Promise<void> {
  await virsh.run(['start', uuid, ...(paused ? ['--paused'] : [])], { signal });
}

/** Ends a domain as a power cut does; does nothing where it does not run. */
export async function cutDomain(virsh: Virsh, identity: DomainIdentity): Promise<void> {
  try {
    await virsh.run(['destroy', identity.uuid]);
  } catch (error) {
    if (await isDomainActive(virsh, identity)) throw error;
  }
}

/** Ends a domain and makes libvirt forget it. One that does not carry our mark is left alone. */
export async function removeDomain(virsh: Virsh, identity: DomainIdentity): Promise<void> {
  if (!(await isOurs(virsh, identity))) return;
  await cutDomain(virsh, identity);
  await virsh.run(['undefine', identity.uuid, '--managed-save', '--snapshots-metadata']);
}

/** Asks the human monitor of the domain's QEMU. Its errors are text like everything else it says. */
export async function askMonitor(
  virsh: Virsh,
  { uuid }: DomainIdentity,
  commandLine: string,
  signal?: AbortSignal,
): Promise<string> {
  const args = ['qemu-monitor-command', uuid, '--hmp', commandLine];
  return (await virsh.run(args, signal ? { signal } : {})).replaceAll('\r', '').trim();
}

/**
 * Forwards a free port of this host's loopback to the guest's SSH in its user-mode network; finds the one that was forwarded
 * before. Port 0: the kernel picks one, so nobody can take it in between.
 */
export async function forwardSsh(virsh: Virsh, identity: DomainIdentity, signal: AbortSignal): Promise<number> {
  const known = forwardedPort(await askMonitor(virsh, identity, 'info usernet', signal));
  if (known !== undefined) return known;
  const said = await askMonitor(virsh, identity, `hostfwd_add ${USER_NETWORK} tcp:127.0.0.1:0-:22`, signal);
  const port = forwardedPort(await askMonitor(virsh, identity, 'info usernet', signal));
  if (port !== undefined) return port;
  throw new NixproofError('MACHINE_LIBVIRT', `QEMU forwards no port to the guest: ${said}`, {
    hint: 'a QEMU without user-mode network needs a network of libvirt: set VM_NETWORK',
  });
}
