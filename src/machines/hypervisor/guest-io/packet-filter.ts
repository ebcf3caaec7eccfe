import { BlockList } from 'node:net';
import type { GuestNetwork } from '../../../domain/profile.js';

/** One of this host's addresses with its prefix length: what shares the prefix is its neighbour. */
export interface HostAddress {
  readonly address: string;
  readonly prefix: number;
}

/**
 * QEMU's user network as it is by default (qemu-system(1), -netdev user): the host's loopback, and
 * a relay to the host's resolver; IPv4 and IPv6.
 */
const HOST: readonly string[] = ['10.0.2.2', 'fec0:0:0:0:0:0:0:2'];
const RESOLVER: readonly string[] = ['10.0.2.3', 'fec0:0:0:0:0:0:0:3'];

/**
 * IPv4 networks that are not the internet: IANA's special-purpose registry, multicast, and Azure's
 * metadata and key service, which has a public address.
 */
const SPECIAL_IPV4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
];

/** Networks within 2000::/3, the IPv6 internet, that carry an IPv4 address or are not the internet. */
const SPECIAL_IPV6: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
];

const ETHERNET_BYTES = 14;
const ARP = 0x0806;
const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
const DNS_PORT = 53;
const DHCP: readonly (readonly [string, number])[] = [
  ['255.255.255.255', 67],
  ['10.0.2.2', 67],
  ['ff02:0:0:0:0:0:1:2', 547],
];
/** Types of ICMPv6: solicitations and advertisements of routers and neighbours. */
const NEIGHBOUR_DISCOVERY = { first: 133, last: 136 } as const;
const SYN = 0x02;
const ACK = 0x10;
/** Destinations whose places are remembered. */
const MAX_DESTINATIONS = 4096;

/** What one packet asks for. */
interface Packet {
  /** IPv6 without `::`. */
  readonly destination: string;
  readonly protocol: number;
  /** The protocol's header and what follows; empty in a fragment. */
  readonly payload: Buffer;
}

/** Where a destination is. */
type Place = 'host' | 'resolver' | 'internet' | 'elsewhere';

/**
 * Decides which Ethernet frames of a guest reach QEMU's user network. What the guest needs for its
 * own address passes, and so do its answers on connections from the host; everything else needs the
 * profile's `network`.
 * @param addresses gives this host's addresses; another array where they have changed
 */
export function createPacketFilter(
  network: GuestNetwork,
  addresses: () => readonly HostAddress[],
): (frame: Buffer) => boolean {
  const hostPorts = new Set(typeof network === 'object' ? network.host : []);
  const placeOf = places(addresses);
  return (frame) => {
    if (frame.length < ETHERNET_BYTES) return false;
    if (frame.readUInt16BE(12) === ARP) return true;
    const packet = packetIn(frame);
    if (packet === undefined) return false;
    if (isConfiguration(packet)) return true;
    const place = placeOf(packet.destination);
    if (place === 'host') return !opensConnection(packet) || hostPorts.has(portOf(packet) ?? 0);
    if (network === 'none') return false;
    return place === 'internet' || (place === 'resolver' && portOf(packet) === DNS_PORT);
  };
}

/** @returns undefined for what QEMU's user network does not carry, or might read in another way */
function packetIn(frame: Buffer): Packet | undefined {
  const ip = frame.subarray(ETHERNET_BYTES);
  switch (frame.readUInt16BE(12)) {
    case IPV4: {
      // Version 4, and a header without options.
      if (ip.length < 20 || ip[0] !== 0x45) return undefined;
      // More fragments, or a fragment that is not the first.
      const isFragment = (ip.readUInt16BE(6) & 0x3fff) !== 0;
      const destination = ip.subarray(16, 20).join('.');
      return { destination, protocol: ip.readUInt8(9), payload: isFragment ? Buffer.alloc(0) : ip.subarray(20) };
    }
    case IPV6: {
      if (ip.length < 40 || ip.readUInt8(0) >> 4 !== 6) return undefined;
      const groups = Array.from({ length: 8 }, (_, group) => ip.readUInt16BE(24 + 2 * group).toString(16));
      return { destination: groups.join(':'), protocol: ip.readUInt8(6), payload: ip.subarray(40) };
    }
    default:
      return undefined;
  }
}

/** The destination's port of TCP and UDP. */
function portOf({ protocol, payload }: Packet): number | undefined {
  const hasPorts = protocol === PROTOCOL.tcp || protocol === PROTOCOL.udp;
  return hasPorts && payload.length >= 4 ? payload.readUInt16BE(2) : undefined;
}

/** Whether a packet may do more than continue a TCP connection. */
function opensConnection({ protocol, payload }: Packet): boolean {
  return protocol !== PROTOCOL.tcp || payload.length < 20 || (payload.readUInt8(13) & (SYN | ACK)) === SYN;
}

/** DHCP, neighbour discovery, and pings of the gateway: QEMU answers them itself. */
function isConfiguration(packet: Packet): boolean {
  const { destination, protocol, payload } = packet;
  switch (protocol) {
    case PROTOCOL.udp:
      return DHCP.some(([address, port]) => address === destination && port === portOf(packet));
    case PROTOCOL.icmp:
      return destination === HOST[0];
    case PROTOCOL.icmpv6: {
      const type = payload[0] ?? 0;
      return type >= NEIGHBOUR_DISCOVERY.first && type <= NEIGHBOUR_DISCOVERY.last;
    }
    default:
      return false;
  }
}

function places(addresses: () => readonly HostAddress[]): (destination: string) => Place {
  const isSpecial = contains([...SPECIAL_IPV4, ...SPECIAL_IPV6].map(([address, prefix]) => ({ address, prefix })));
  const isGlobal = contains([{ address: '2000::', prefix: 3 }]);
  const known = new Map<string, Place>();
  let host: readonly HostAddress[] = [];
  let isNear = contains(host);
  const find = (destination: string): Place => {
    if (HOST.includes(destination)) return 'host';
    if (RESOLVER.includes(destination)) return 'resolver';
    if (destination.includes(':') && !isGlobal(destination)) return 'elsewhere';
    return isSpecial(destination) || isNear(destination) ? 'elsewhere' : 'internet';
  };
  return (destination) => {
    const now = addresses();
    if (now !== host) {
      host = now;
      isNear = contains(host);
      known.clear();
    }
    const place = known.get(destination) ?? find(destination);
    if (known.size >= MAX_DESTINATIONS) known.clear();
    known.set(destination, place);
    return place;
  };
}

function contains(networks: readonly HostAddress[]): (address: string) => boolean {
  const family = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');
  const list = new BlockList();
  for (const { address, prefix } of networks) list.addSubnet(address, prefix, family(address));
  return (address) => list.check(address, family(address));
}
