import type { GuestNetwork } from '../../domain/profile.js';

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

/**
 * QEMU's arguments that lead all packets from the guest through the filter. Packets to the guest go
 * straight. While no filter is connected QEMU drops what the guest sends.
 * @param netdev QEMU's name for the guest's network
 * @param socket the path of a socket, as QEMU's options have it
 */
export function filterArguments(netdev: string, socket: (name: string) => string): string[] {
  const { unfiltered, filtered } = GUEST_IO_SOCKETS;
  return [
    ...[unfiltered, filtered].flatMap((name) => [
      '-chardev',
      `socket,id=${name},path=${socket(name)},server=on,wait=off`,
    ]),
    ...['-object', `filter-redirector,id=filter,netdev=${netdev},queue=rx,indev=${filtered},outdev=${unfiltered}`],
  ];
}
