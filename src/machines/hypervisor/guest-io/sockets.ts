import type { GuestNetwork } from '../../../domain/profile.js';

/** What one guest sends, and where it goes. */
export interface GuestIo {
  /** Folder of the sockets that QEMU serves, by the names of `GUEST_IO_SOCKETS`. */
  readonly sockets: string;
  /** Absolute path of the serial console's log; absent where something else keeps it. */
  readonly consoleLog?: string;
  readonly network: GuestNetwork;
}

/** The guest's packets on their way to the filter and from it, and its serial console. */
export const GUEST_IO_SOCKETS = { unfiltered: 'packets-out', filtered: 'packets-in', serial: 'serial' } as const;

/** The name by which QMP knows the filter. */
export const FILTER = 'packet-filter';

/** The properties of the filter (QEMU's object filter-redirector), without its type and name. */
export function filterProperties(netdev: string): Readonly<Record<string, string>> {
  return { netdev, queue: 'rx', indev: GUEST_IO_SOCKETS.filtered, outdev: GUEST_IO_SOCKETS.unfiltered };
}

/**
 * QEMU's arguments that lead all packets from the guest through the filter. Packets to the guest go
 * straight. While no filter is connected QEMU drops what the guest sends.
 * @param netdev QEMU's name for the guest's network
 * @param socket gives the path of a socket, as QEMU's options have it
 */
export function filterArguments(netdev: string, socket: (name: string) => string): string[] {
  const chardevs = [GUEST_IO_SOCKETS.unfiltered, GUEST_IO_SOCKETS.filtered].map(
    (name) => `socket,id=${name},path=${socket(name)},server=on,wait=off`,
  );
  return [...chardevs.flatMap((chardev) => ['-chardev', chardev]), '-object', filterOption(netdev)];
}

/** The filter as QEMU's options and its human monitor's `object_add` have it. */
export function filterOption(netdev: string): string {
  const properties = Object.entries(filterProperties(netdev)).map(([name, value]) => `,${name}=${value}`);
  return `filter-redirector,id=${FILTER}${properties.join('')}`;
}
