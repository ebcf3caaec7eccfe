import { expect, test } from 'vitest';
import { NixproofError } from '../../../../src/domain/error.js';
import { ipv4Of, requireNetwork } from '../../../../src/machines/libvirt/network.js';

const { signal } = new AbortController();
const answering = (answer: () => string) => ({ uri: 'qemu:///system', run: async () => answer() });

test('a network that is not active is named, with those that are', async () => {
  const virsh = answering(() => 'default\nlab\n');
  await requireNetwork(virsh, 'lab', signal);
  await expect(requireNetwork(virsh, 'office', signal)).rejects.toMatchObject({
    code: 'HOST_NETWORK_MISSING',
    message: 'libvirt has no active network office at qemu:///system',
  });
});

test('a libvirt without a driver for networks is told apart from other failures', async () => {
  const failing = (text: string) =>
    answering(() => {
      throw new NixproofError('MACHINE_LIBVIRT', `virsh failed: error: ${text}`);
    });
  // As libvirt 11.3 of Debian 13 says it.
  const none = 'this function is not supported by the connection driver: virConnectNumOfNetworks';
  await expect(requireNetwork(failing(none), 'lab', signal)).rejects.toMatchObject({
    code: 'HOST_NETWORK_MISSING',
    hint: expect.stringContaining('libvirt-daemon-driver-network') as string,
  });
  await expect(requireNetwork(failing('internal error'), 'lab', signal)).rejects.toMatchObject({
    code: 'MACHINE_LIBVIRT',
  });
});

test('addresses are those of the machine’s own card', () => {
  const table = ` vnet0      52:54:00:aa:bb:cc    ipv4         192.168.122.76/24
 vnet1      52:54:00:aa:bb:cd    ipv4         192.168.122.77/24`;
  expect(ipv4Of(table, '52:54:00:aa:bb:cc')).toEqual(['192.168.122.76']);
});
