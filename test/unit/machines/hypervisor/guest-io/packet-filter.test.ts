import { describe, expect, test } from 'vitest';
import type { GuestNetwork } from '../../../../../src/domain/profile.js';
import { createPacketFilter, type HostAddress } from '../../../../../src/machines/hypervisor/guest-io/packet-filter.js';

const PROTOCOL = { icmp: 1, tcp: 6, udp: 17, icmpv6: 58 } as const;
const SYN = 0x02;
const ACK = 0x10;

interface Wanted {
  readonly to: string;
  readonly protocol?: keyof typeof PROTOCOL;
  readonly port?: number;
  readonly flags?: number;
  readonly type?: number;
}

/** An Ethernet frame as a guest sends it. */
function frame({ to, protocol = 'tcp', port = 80, flags = SYN, type = 8 }: Wanted): Buffer {
  const six = to.includes(':');
  const ethernet = Buffer.alloc(14);
  ethernet.writeUInt16BE(six ? 0x86dd : 0x0800, 12);
  const payload = Buffer.alloc(20);
  if (protocol === 'icmp' || protocol === 'icmpv6') payload[0] = type;
  else payload.writeUInt16BE(port, 2);
  if (protocol === 'tcp') payload[13] = flags;
  const ip = Buffer.alloc(six ? 40 : 20);
  ip[0] = six ? 0x60 : 0x45;
  ip[six ? 6 : 9] = PROTOCOL[protocol];
  if (six) bytesOf6(to).copy(ip, 24);
  else Buffer.from(to.split('.').map(Number)).copy(ip, 16);
  return Buffer.concat([ethernet, ip, payload]);
}

function bytesOf6(text: string): Buffer {
  const [left = '', right = ''] = text.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const zeros = Array<string>(8 - groups(left).length - groups(right).length).fill('0');
  const all = text.includes('::') ? [...groups(left), ...zeros, ...groups(right)] : groups(text);
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

const HOST: readonly HostAddress[] = [
  { address: '127.0.0.1', prefix: 8 },
  { address: '93.184.216.10', prefix: 24 },
  { address: '2a01:4f8:1:2::1', prefix: 64 },
];
const passes = (network: GuestNetwork, wanted: Wanted) => createPacketFilter(network, () => HOST)(frame(wanted));
const NETWORKS: readonly GuestNetwork[] = ['internet', 'none', { host: [8080] }];
/** Under each of the networks. */
const under = (wanted: Wanted) => NETWORKS.map((network) => passes(network, wanted));

describe('a guest’s packets', () => {
  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.1',
    '100.63.255.255',
    '100.128.0.1',
    '172.15.0.1',
    '172.32.0.1',
    '192.167.0.1',
    '192.169.0.1',
    '223.255.255.255',
    '93.184.217.1',
    '2606:4700::1111',
    '2a01:4f8:1:3::1',
  ])('%s is the internet', (to) => {
    expect(under({ to })).toEqual([true, false, true]);
    expect(under({ to, protocol: 'udp', port: 53 })).toEqual([true, false, true]);
  });

  test.each([
    ['this host', '0.0.0.0'],
    ['private', '10.0.0.1'],
    ['private', '10.1.2.3'],
    ['private', '172.16.0.1'],
    ['private', '172.31.255.254'],
    ['private', '192.168.1.1'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['carrier-grade NAT, metadata', '100.100.100.200'],
    ['loopback', '127.0.0.1'],
    ['loopback', '127.0.0.53'],
    ['link-local, metadata', '169.254.169.254'],
    ['Azure’s metadata', '168.63.129.16'],
    ['benchmarks', '198.18.0.1'],
    ['documentation', '203.0.113.1'],
    ['multicast', '224.0.0.251'],
    ['reserved', '240.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['the host’s own', '93.184.216.10'],
    ['its neighbour', '93.184.216.34'],
    ['another of the user network', '10.0.2.4'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['IPv4-mapped loopback', '::ffff:7f00:1'],
    ['IPv4-compatible', '::7f00:1'],
    ['NAT64', '64:ff9b::7f00:1'],
    ['unique local, metadata', 'fd00:ec2::254'],
    ['link-local', 'fe80::2'],
    ['site-local', 'fec0::4'],
    ['multicast', 'ff02::fb'],
    ['Teredo', '2001::1'],
    ['documentation', '2001:db8::1'],
    ['6to4 of loopback', '2002:7f00:1::1'],
    ['the host’s own', '2a01:4f8:1:2::1'],
    ['its neighbour', '2a01:4f8:1:2::2'],
  ])('%s, %s, is not', (_, to) => {
    expect(under({ to, port: 8080 })).toEqual([false, false, false]);
    expect(under({ to, port: 8080, protocol: 'udp' })).toEqual([false, false, false]);
  });

  test.each(['10.0.2.2', 'fec0::2'])('%s is the host: its declared ports, and answers to it', (to) => {
    expect(under({ to, port: 8080 })).toEqual([false, false, true]);
    expect(under({ to, port: 8080, protocol: 'udp' })).toEqual([false, false, true]);
    expect(under({ to, port: 8081 })).toEqual([false, false, false]);
    expect(under({ to, port: 8081, protocol: 'udp' })).toEqual([false, false, false]);
    // A connection that the host opened, to the guest's SSH.
    expect(under({ to, port: 40_000, flags: SYN | ACK })).toEqual([true, true, true]);
    expect(under({ to, port: 40_000, flags: ACK })).toEqual([true, true, true]);
    // Flags that the user network ignores beside SYN: push, and congestion.
    expect(under({ to, port: 8081, flags: SYN | 0x08 | 0xc0 })).toEqual([false, false, false]);
  });

  test.each(['10.0.2.3', 'fec0::3'])('%s answers names, and nothing else', (to) => {
    expect(under({ to, protocol: 'udp', port: 53 })).toEqual([true, false, true]);
    expect(under({ to, protocol: 'tcp', port: 53 })).toEqual([true, false, true]);
    expect(under({ to, protocol: 'udp', port: 8080 })).toEqual([false, false, false]);
    expect(under({ to, protocol: 'tcp', port: 8080 })).toEqual([false, false, false]);
  });

  test('for its own address pass always', () => {
    const arp = Buffer.alloc(42);
    arp.writeUInt16BE(0x0806, 12);
    for (const network of NETWORKS) expect(createPacketFilter(network, () => HOST)(arp)).toBe(true);
    expect(under({ to: '255.255.255.255', protocol: 'udp', port: 67 })).toEqual([true, true, true]);
    expect(under({ to: '10.0.2.2', protocol: 'udp', port: 67 })).toEqual([true, true, true]);
    expect(under({ to: 'ff02::1:2', protocol: 'udp', port: 547 })).toEqual([true, true, true]);
    expect(under({ to: '10.0.2.2', protocol: 'icmp' })).toEqual([true, true, true]);
    expect(under({ to: 'ff02::1:ff00:2', protocol: 'icmpv6', type: 135 })).toEqual([true, true, true]);
    expect(under({ to: 'fe80::2', protocol: 'icmpv6', type: 128 })).toEqual([false, false, false]);
  });

  test('that could be read in another way are dropped', () => {
    const internet = createPacketFilter({ host: [8080] }, () => HOST);
    const good = frame({ to: '1.1.1.1' });
    expect(internet(good)).toBe(true);
    const changed = (change: (bytes: Buffer) => void, of: Buffer = good) => {
      const bytes = Buffer.from(of);
      change(bytes);
      return internet(bytes);
    };
    expect(changed((bytes) => bytes.writeUInt16BE(0x8100, 12))).toBe(false);
    expect(changed((bytes) => bytes.writeUInt16BE(0x86dd, 12))).toBe(false);
    expect(changed((bytes) => (bytes[14] = 0x46))).toBe(false);
    expect(changed((bytes) => (bytes[14] = 0x65))).toBe(false);
    for (const length of [0, 13, 14, 33]) expect(internet(good.subarray(0, length))).toBe(false);
    // A port of the host in a fragment, and where its header is cut short.
    const declared = frame({ to: '10.0.2.2', port: 8080 });
    expect(internet(declared)).toBe(true);
    expect(changed((bytes) => bytes.writeUInt16BE(0x2000, 20), declared)).toBe(false);
    expect(changed((bytes) => bytes.writeUInt16BE(0x0001, 20), declared)).toBe(false);
    expect(changed((bytes) => bytes.writeUInt16BE(0x4000, 20), declared)).toBe(true);
    expect(internet(frame({ to: '10.0.2.2', port: 9, flags: ACK }).subarray(0, 14 + 20 + 13))).toBe(false);
  });

  test('an address that the host takes while the guest runs is its own at once', () => {
    let addresses = HOST;
    const filter = createPacketFilter('internet', () => addresses);
    expect(filter(frame({ to: '51.15.0.2' }))).toBe(true);
    addresses = [...HOST, { address: '51.15.0.1', prefix: 24 }];
    expect(filter(frame({ to: '51.15.0.2' }))).toBe(false);
  });
});
