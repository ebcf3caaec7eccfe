import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { openConsoleLog } from './console-log.js';
import { createFrameFilter } from './frames.js';
import { GUEST_IO_SOCKETS, type GuestIo } from './sockets.js';
import { localRoutes } from './local-routes.js';
import { createPacketFilter, type HostAddress } from './packet-filter.js';

/**
 * The program beside each QEMU: moves what the guest sends from socket to socket through the packet
 * filter, and its serial console to a file of bounded size. It prints a line when it is connected to
 * QEMU and ends when QEMU does. Without it no packet leaves the guest.
 */

/** How long QEMU may take to open its sockets. */
const CONNECT_MS = 30_000;
const RETRY_MS = 5;
/** Age at which the list of this host's addresses is read again. */
const ADDRESSES_MS = 2000;
/**
 * Bytes on their way back to QEMU, beyond which packets are dropped. It must never wait for QEMU to
 * read: QEMU does not read while it waits for its own packets to be taken.
 */
const MAX_WAITING_BYTES = 4 * 2 ** 20;

async function main({ sockets, consoleLog, network }: GuestIo): Promise<void> {
  const end = performance.now() + CONNECT_MS;
  const open = (name: string) => opened(`${sockets}/${name}`, end);
  const [fromGuest, toHost, serial] = await Promise.all([
    open(GUEST_IO_SOCKETS.unfiltered),
    open(GUEST_IO_SOCKETS.filtered),
    consoleLog === undefined ? undefined : open(GUEST_IO_SOCKETS.serial),
  ]);
  const cut = createFrameFilter(createPacketFilter(network, hostAddresses()));
  fromGuest.on('data', (chunk: Buffer) => {
    for (const frames of cut(chunk)) if (toHost.writableLength < MAX_WAITING_BYTES) toHost.write(frames);
  });
  if (serial && consoleLog !== undefined) {
    const log = openConsoleLog(consoleLog);
    serial.on('data', (chunk: Buffer) => log.write(chunk));
  }
  for (const socket of [fromGuest, toHost, serial]) socket?.once('close', () => process.exit());
  process.stdout.on('error', () => undefined).end('connected\n');
}

async function opened(path: string, end: number): Promise<Socket> {
  for (;;) {
    const socket = connect(path);
    const failed = await new Promise<Error | undefined>((resolve) => {
      socket.once('connect', () => resolve(undefined)).on('error', resolve);
    });
    if (!failed) return socket;
    if (performance.now() > end) throw failed;
    await delay(RETRY_MS);
  }
}

/** This host's addresses, the same array while it is fresh. */
function hostAddresses(): () => readonly HostAddress[] {
  let known: readonly HostAddress[] = [];
  let readAt = -Infinity;
  return () => {
    if (performance.now() - readAt > ADDRESSES_MS) {
      readAt = performance.now();
      const ofInterfaces = Object.values(networkInterfaces())
        .flatMap((addresses) => addresses ?? [])
        .map(({ address, cidr }) => ({ address, prefix: prefixOf(address, cidr) }));
      known = [...ofInterfaces, ...localRoutes(textOf('/proc/net/fib_trie'), textOf('/proc/net/if_inet6'))];
    }
    return known;
  };
}

/** Empty where the system has no such file. */
function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** An interface without a valid netmask has none but itself on its network. */
function prefixOf(address: string, cidr: string | null): number {
  const prefix = cidr?.split('/')[1];
  return prefix === undefined ? (address.includes(':') ? 128 : 32) : Number(prefix);
}

await main(JSON.parse(process.argv[2] ?? '') as GuestIo);
