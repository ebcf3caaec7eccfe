import { expect, test } from 'vitest';
import { localRoutes } from '../../../../../src/machines/hypervisor/guest-io/local-routes.js';

/** As Linux 6.1 has it, cut short: `ip route add local 8.8.6.0/24 dev lo` and an interface without carrier. */
const TRIE = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 8.8.4.0/24 2 0 1
        |-- 8.8.4.0
           /24 link UNICAST
        |-- 8.8.4.100
           /32 host LOCAL
        |-- 8.8.4.255
           /32 link BROADCAST
     |-- 8.8.6.0
        /24 host LOCAL
`;
const INET6 = `00000000000000000000000000000001 01 80 10 80       lo
2a001234000000000000000000000005 04 40 00 80    veth0
`;

test('are the addresses and networks that are delivered to this host, and no others', () => {
  expect(localRoutes(TRIE, INET6)).toEqual([
    { address: '8.8.4.100', prefix: 32 },
    { address: '8.8.6.0', prefix: 24 },
    { address: '0000:0000:0000:0000:0000:0000:0000:0001', prefix: 128 },
    { address: '2a00:1234:0000:0000:0000:0000:0000:0005', prefix: 128 },
  ]);
  expect(localRoutes('', '')).toEqual([]);
});
