import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError, messageOf } from '../../domain/error.js';
import { saysBanner } from '../banner.js';
import type { Work } from '../machine.js';
import { isDomainActive } from './domain.js';
import type { DomainIdentity } from './identity.js';
import type { Virsh } from './virsh.js';

const SSH_PORT = 22;
const POLL_MS = 1000;
/** How addresses are found: the network's DHCP server, the agent in the guest, this host's neighbours (virsh(1), domifaddr). */
const SOURCES = ['lease', 'agent', 'arp'] as const;

/**
 * Makes sure that a network of libvirt is there and active.
 * @throws NixproofError `HOST_NETWORK_MISSING`
 */
export async function requireNetwork(virsh: Virsh, network: string, signal: AbortSignal): Promise<void> {
  const active = await activeNetworks(virsh, signal);
  if (active.includes(network)) return;
  throw new NixproofError(
    'HOST_NETWORK_MISSING',
    `libvirt has no active network ${network} at ${virsh.uri ?? 'its default URI'}`,
    {
      hint: `start it with \`virsh net-start ${network}\`; networks live at qemu:///system (LIBVIRT_DEFAULT_URI), VM_NETWORK names one`,
      details: { network, active },
    },
  );
}

/** @throws NixproofError `HOST_NETWORK_MISSING` where libvirt has no networks at all */
async function activeNetworks(virsh: Virsh, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return (await virsh.run(['net-list', '--name'], { signal })).split('\n').map((line) => line.trim());
  } catch (error) {
    // Some distributions, Debian 13 among them, have them in a package of their own.
    if (!messageOf(error).includes('not supported by the connection driver')) throw error;
    throw new NixproofError('HOST_NETWORK_MISSING', 'this libvirt has no networks: its driver for them is missing', {
      hint: 'install it (`apt-get install libvirt-daemon-driver-network`) and restart libvirtd; or leave VM_NETWORK out',
      cause: error,
    });
  }
}

/**
 * The address at which the machine answers SSH in its network: leases outlive systems, so of several the one that answers.
 * @throws NixproofError `MACHINE_GONE`, `TRANSPORT_TIMEOUT`
 */
export async function findAddress(
  virsh: Virsh,
  identity: DomainIdentity,
  deadlineMs: number,
  { signal, progress }: Work,
): Promise<string> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const candidates = await addresses(virsh, identity, signal);
    const answers = await Promise.all(candidates.map((address) => saysBanner(address, SSH_PORT)));
    const found = candidates[answers.indexOf(true)];
    if (found !== undefined) return found;
    if (!(await isDomainActive(virsh, identity, signal)))
      throw new NixproofError('MACHINE_GONE', 'the machine stopped before it answered SSH');
    const where = candidates.length === 0 ? 'it got no address' : `nothing answers at ${candidates.join(', ')}`;
    if (performance.now() >= end)
      throw new NixproofError('TRANSPORT_TIMEOUT', `${where} within ${Math.round(deadlineMs / 1000)} s`);
    progress(`booting: ${where} yet`);
    await delay(POLL_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function addresses(virsh: Virsh, { uuid, mac }: DomainIdentity, signal: AbortSignal): Promise<readonly string[]> {
  const found = new Set<string>();
  for (const source of SOURCES) {
    const table = await virsh.run(['domifaddr', uuid, '--source', source], { signal }).catch(() => '');
    signal.throwIfAborted();
    for (const address of ipv4Of(table, mac)) found.add(address);
  }
  return [...found];
}

/** The IPv4 addresses of a card, from the table of `virsh domifaddr` (`vnet0  52:54:00:…  ipv4  192.168.122.76/24`). */
export function ipv4Of(table: string, mac: string): readonly string[] {
  return table.split('\n').flatMap((line) => {
    const [, card, address] = /^\s*\S+\s+(\S+)\s+ipv4\s+([\d.]+)\/\d+\s*$/.exec(line) ?? [];
    return card?.toLowerCase() === mac && address !== undefined ? [address] : [];
  });
}
