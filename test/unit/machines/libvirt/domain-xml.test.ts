import { describe, expect, test } from 'vitest';
import { layoutOf } from '../../../../src/host/paths.js';
import { domainXml, type DomainDefinition } from '../../../../src/machines/libvirt/domain-xml.js';
import { domainIdentity } from '../../../../src/machines/libvirt/identity.js';
import { securityModels } from '../../../../src/machines/libvirt/libvirt.js';
import { ipv4Of } from '../../../../src/machines/libvirt/network.js';

const LAYOUT = layoutOf('/home/user/np');
const definition: DomainDefinition = {
  identity: domainIdentity(LAYOUT, 'vm-1'),
  accelerator: 'tcg',
  shape: { memoryMiB: 1024, cpus: 2, diskBytes: [1], firmware: 'bios' },
  disks: ['/m/system.qcow2', '/m/disk-1.qcow2'],
  publicKey: 'ssh-ed25519 AAAA nixproof',
  consoleLog: '/m/console.log',
  sockets: '/tmp/s',
  securityModels: ['none'],
  owner: { uid: 1000, gid: 100 },
};

describe('a domain', () => {
  test('has hostile paths and names as texts, and nothing else of them', () => {
    const evil = `/m/"/><disk type='block'><source dev='/dev/sda'/></disk>&,x`;
    const xml = domainXml({
      ...definition,
      disks: [evil],
      consoleLog: evil,
      uefi: { code: '/code', variables: evil },
      cdrom: evil,
      direct: { kind: 'direct', kernel: evil, initrd: evil, commandLine: evil },
      shape: { ...definition.shape, libvirtNetwork: evil },
    });
    expect(xml).not.toContain("/dev/sda'/>");
    expect(xml.match(/<disk /g)).toHaveLength(2);
    // In QEMU's options a comma ends a value.
    expect(xml).toContain('&amp;,,x"></qemu:arg>');
  });

  test('boots a CD, where it has one', () => {
    expect(domainXml(definition)).toContain('<boot dev="hd">');
    expect(domainXml({ ...definition, cdrom: '/live.iso' })).toMatch(
      /<boot dev="cdrom">.*<disk type="file" device="cdrom">.*<source file="\/live.iso">.*<readonly>/,
    );
  });

  test('is emulated, or run by the processor', () => {
    const direct = { kind: 'direct', kernel: '/k', initrd: '/i', commandLine: 'quiet' } as const;
    const emulated = domainXml({ ...definition, direct });
    expect(emulated).toMatch(/^<domain type="qemu" .*<cpu mode="maximum"><feature policy="disable" name="erms">/);
    expect(emulated).toContain('<tb-cache unit="MiB">256</tb-cache>');
    expect(emulated).toContain('<cmdline>quiet norandmaps</cmdline>');
    expect(domainXml({ ...definition, direct, accelerator: 'kvm' })).toContain('<cmdline>quiet</cmdline>');
    expect(domainXml({ ...definition, accelerator: 'kvm' })).toMatch(
      /^<domain type="kvm" .*<cpu mode="host-passthrough">/,
    );
  });

  test('is plugged into user-mode networking, or into a network of libvirt', () => {
    expect(domainXml(definition)).toContain('<interface type="user"><mac address="52:54:00:');
    const plugged = { ...definition, shape: { ...definition.shape, libvirtNetwork: 'lab' } };
    expect(domainXml(plugged)).not.toContain('filter-redirector');
    expect(domainXml(definition)).toContain('filter-redirector,id=packet-filter,netdev=hostnet0,queue=rx,');
    expect(domainXml(plugged)).toMatch(/<interface type="network"><mac [^>]*><\/mac><source network="lab">/);
  });

  test.each([
    [['none'], ''],
    [[], ''],
    [['none', 'dac'], '<seclabel type="static" model="dac" relabel="no"><label>+1000:+100</label></seclabel>'],
    [
      ['apparmor', 'dac'],
      '<seclabel type="none" model="apparmor"></seclabel><seclabel type="static" model="dac" relabel="no"><label>+1000:+100</label></seclabel>',
    ],
  ])('runs as the owner of its files where libvirt has %j', (models, labels) => {
    expect(domainXml({ ...definition, securityModels: models })).toContain(`</devices>${labels}<qemu:commandline>`);
  });
});

test('a machine’s identity is its folder’s: the same every time, another in another home', () => {
  const identity = domainIdentity(LAYOUT, 'vm-1');
  expect(identity).toEqual(domainIdentity(layoutOf('/home/user/np'), 'vm-1'));
  expect(identity).toMatchObject({
    name: 'nixproof-vm-1',
    uuid: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/) as string,
    mac: expect.stringMatching(/^52:54:00(:[\da-f]{2}){3}$/) as string,
  });
  const elsewhere = domainIdentity(layoutOf('/home/other/np'), 'vm-1');
  expect(elsewhere.name).toBe(identity.name);
  for (const key of ['uuid', 'mac', 'home'] as const) expect(elsewhere[key]).not.toBe(identity[key]);
});

test('security models are read from libvirt’s capabilities', () => {
  const capabilities = `<capabilities><host><secmodel>
      <model>apparmor</model>
      <doi>0</doi>
    </secmodel>
    <secmodel>
      <model>dac</model>
      <doi>0</doi>
      <baselabel type='kvm'>+64055:+64055</baselabel>
    </secmodel></host></capabilities>`;
  expect(securityModels(capabilities)).toEqual(['apparmor', 'dac']);
  expect(securityModels('<capabilities/>')).toEqual([]);
});

test('addresses of a card are read from virsh’s table', () => {
  const mac = '52:54:00:8c:96:77';
  const table = ` vnet0      52:54:00:8C:96:77    ipv4         192.168.122.76/24
 vnet0      ${mac}    ipv6         fe80::1/64
 -          -                    ipv4         192.168.122.77/24
 lo         00:00:00:00:00:00    ipv4         127.0.0.1/8
 eth0       ${mac}    ipv4         10.0.0.7/8`;
  expect(ipv4Of(table, mac)).toEqual(['192.168.122.76', '10.0.0.7']);
  expect(ipv4Of('', mac)).toEqual([]);
});
