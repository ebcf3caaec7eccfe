import type { ProbeResults } from '../domain/heal.js';

/** What the probes say, read with care: guest text, bounded, and dropped where it has not the form it should have. */

/** A disk, partition or what stands on one, as lsblk has it. */
export interface BlockDevice {
  readonly path: string;
  /** Kernel name of what it is part of; empty for a disk. */
  readonly parent: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** `disk`, `part`, `lvm`, `crypt`, `raid1`, `loop`, `rom` … */
  readonly type: string;
  readonly readOnly: boolean;
  readonly mountpoints: readonly string[];
  /** Signature found on it; empty where there is none. */
  readonly fileSystem: string;
}

export interface FileSystem {
  readonly mountpoint: string;
  /** As in /proc/mounts; empty where that does not have it. */
  readonly type: string;
  readonly device: string;
  readonly sizeKiB: number;
  readonly freeKiB: number;
  /** 0 to 1; 0 where the file system has no such limit. */
  readonly inodesUsed: number;
}

export interface NetworkLink {
  readonly name: string;
  readonly isUp: boolean;
  readonly hasCarrier: boolean;
  /** Neither loopback nor a device that speaks to nobody, such as a dummy or a tunnel. */
  readonly isNetwork: boolean;
  readonly hasAddress: boolean;
}

const MAX_ROWS = 400;
const DEVICE_PATH = /^\/[\w./:+@=-]+$/;
const INTERFACE = /^[A-Za-z][\w.-]{0,14}$/;
const IPV4 = /^(?:\d{1,3}\.){3}\d{1,3}$/;
const ADDRESS = /^(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9a-f:]*:[0-9a-f:.]+)$/i;

const rows = (text: string | undefined): readonly string[] =>
  (text ?? '')
    .split('\n', MAX_ROWS)
    .map((row) => row.trim())
    .filter((row) => row !== '');

/** The scratch root where the machine is a sandbox: its kernel, network and devices are the bench's own. */
export function sandboxRoot(probes: ProbeResults): string | undefined {
  return /^root=(\/.+)$/m.exec(probes['machine'] ?? '')?.[1];
}

export function blockDevices(probes: ProbeResults): readonly BlockDevice[] {
  return rows(probes['disks']).flatMap((row) => {
    const pairs = Object.fromEntries(
      [...row.matchAll(/\b([A-Z]{1,20})="([^"]*)"/g)].map(([, key = '', value = '']) => [key, unescaped(value)]),
    );
    const { PATH: path = '', NAME: name = '', PKNAME: parent = '', TYPE: type = '', FSTYPE: fileSystem = '' } = pairs;
    if (!DEVICE_PATH.test(path)) return [];
    const mountpoints = (pairs['MOUNTPOINTS'] ?? pairs['MOUNTPOINT'] ?? '').split('\n').filter((point) => point !== '');
    const sizeBytes = Number(pairs['SIZE']) || 0;
    return [{ path, parent, name, sizeBytes, type, readOnly: pairs['RO'] === '1', mountpoints, fileSystem }];
  });
}

/** lsblk writes what could end a value as `\x0a`. */
function unescaped(value: string): string {
  return value.replace(/\\x([0-9a-f]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
}

/** A device and everything that stands on it. */
export function withDescendants(devices: readonly BlockDevice[], path: string): readonly BlockDevice[] {
  const found = devices.filter((device) => device.path === path);
  for (const { name } of found) {
    for (const child of devices) if (child.parent === name && !found.includes(child)) found.push(child);
  }
  return found;
}

export function fileSystems(probes: ProbeResults): readonly FileSystem[] {
  const types = new Map(
    rows(probes['mounts']).map((row) => {
      const [, mountpoint = '', type = ''] = row.split(' ');
      return [mountpoint.replaceAll('\\040', ' '), type];
    }),
  );
  const inodes = new Map(dfRows(probes['inodes']).map(({ mountpoint, size, free }) => [mountpoint, { size, free }]));
  return dfRows(probes['space']).map(({ device, mountpoint, size, free }) => {
    const counted = inodes.get(mountpoint);
    return {
      mountpoint,
      device,
      type: types.get(mountpoint) ?? '',
      sizeKiB: size,
      freeKiB: free,
      inodesUsed: counted === undefined || counted.size === 0 ? 0 : 1 - counted.free / counted.size,
    };
  });
}

function dfRows(text: string | undefined) {
  return rows(text).flatMap((row) => {
    const match = /^(\S+) +(\d+) +\d+ +(\d+) +\S+ +(\/.*)$/.exec(row);
    if (match === null) return [];
    const [, device = '', size, free, mountpoint = ''] = match;
    return [{ device, mountpoint, size: Number(size), free: Number(free) }];
  });
}

export function networkLinks(probes: ProbeResults): readonly NetworkLink[] {
  const addressed = new Set(rows(probes['addresses']).map((row) => row.split(/ +/)[1]));
  return rows(probes['links']).flatMap((row) => {
    const [, name = '', flags = ''] = /^\d+: ([^:@\s]+)(?:@\S+)?: <([^>]*)>/.exec(row) ?? [];
    if (!INTERFACE.test(name)) return [];
    const has = (flag: string) => flags.split(',').includes(flag);
    return [
      {
        name,
        isUp: has('UP'),
        hasCarrier: has('LOWER_UP'),
        isNetwork: has('BROADCAST') && !has('NOARP'),
        hasAddress: addressed.has(name),
      },
    ];
  });
}

/** The gateways of the default routes, IPv4. */
export function gateways(probes: ProbeResults): readonly string[] {
  return matches(probes['routes'], /^default via (\S+)/gm).filter((address) => IPV4.test(address));
}

/** Whether packets for elsewhere have a way out, over a gateway or a link. */
export function hasDefaultRoute(probes: ProbeResults): boolean {
  return /^default /m.test(probes['routes'] ?? '');
}

/** This machine's addresses with their networks' sizes: interface, address and prefix. */
export function ipv4Addresses(probes: ProbeResults) {
  return rows(probes['addresses']).flatMap((row) => {
    const [, name = '', address = '', prefix = ''] = /^\d+: (\S+) +inet ((?:\d+\.){3}\d+)\/(\d+)/.exec(row) ?? [];
    return INTERFACE.test(name) && IPV4.test(address) ? [{ interface: name, address, prefix: Number(prefix) }] : [];
  });
}

/** What DHCP told: the words of systemd-networkd and NetworkManager (`DNS=`, `ROUTER=`), dhclient's, and dhcpcd's. */
export function leaseOf(probes: ProbeResults): {
  readonly resolvers: readonly string[];
  readonly routers: readonly string[];
} {
  const addresses = (pattern: RegExp) => [
    ...new Set(
      matches(probes['leases'], pattern)
        .flatMap((list) => list.split(/[\s,;]+/))
        .filter((address) => ADDRESS.test(address)),
    ),
  ];
  return {
    resolvers: addresses(/^(?:DNS=|[ \t]*option domain-name-servers |nameserver )(.*)$/gm),
    routers: addresses(/^(?:ROUTER=|[ \t]*option routers )(.*)$/gm),
  };
}

/** The name servers of resolv.conf. */
export function resolvers(probes: ProbeResults): readonly string[] {
  return matches(probes['resolver'], /^[ \t]*nameserver[ \t]+(\S+)/gm).filter((address) => ADDRESS.test(address));
}

/** Whether any well-known name resolved. */
export function namesResolve(probes: ProbeResults): boolean {
  return rows(probes['names']).length > 0;
}

/** Of /proc/meminfo, KiB. */
export function memoryOf(probes: ProbeResults) {
  const field = (name: string) =>
    Number(new RegExp(`^${name}: +(\\d+) kB`, 'm').exec(probes['memory'] ?? '')?.[1] ?? 0);
  return { totalKiB: field('MemTotal'), availableKiB: field('MemAvailable'), swapFreeKiB: field('SwapFree') };
}

/** Devices and files in use as swap. */
export function swaps(probes: ProbeResults): readonly string[] {
  return rows(probes['swaps'])
    .slice(1)
    .map((row) => row.split(/\s+/)[0] ?? '');
}

/** Nix's effective settings by name; empty where there is no Nix. */
export function nixSettings(probes: ProbeResults): ReadonlyMap<string, string> {
  return new Map(
    rows(probes['nix']).flatMap((row) => {
      const match = /^([a-z][\w-]*) = ?(.*)$/.exec(row);
      return match === null ? [] : [[match[1] ?? '', (match[2] ?? '').trim()] as const];
    }),
  );
}

/** Names of loaded kernel modules, with `_` for `-` as the kernel has them. */
export function loadedModules(probes: ProbeResults): ReadonlySet<string> {
  return new Set(rows(probes['modules']));
}

/** File systems the kernel knows now. */
export function knownFileSystems(probes: ProbeResults): ReadonlySet<string> {
  return new Set(rows(probes['file-systems']).map((row) => row.split(/\s+/).at(-1) ?? ''));
}

/** The firmware's variables: whether the machine booted by UEFI, whether they are mounted, and how many crash dumps are in them. */
export function efiVariables(probes: ProbeResults) {
  const lines = rows(probes['efi-variables']);
  return {
    isUefi: lines.includes('uefi'),
    areMounted: lines.includes('mounted'),
    dumps: lines.filter((line) => line.startsWith('dump-')).length,
  };
}

function matches(text: string | undefined, pattern: RegExp): readonly string[] {
  return [...(text ?? '').matchAll(pattern)].slice(0, MAX_ROWS).map(([, group = '']) => group);
}
