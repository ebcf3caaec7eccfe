import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { readJson } from '../../../../../src/host/files.js';
import { isAlive, type ProcessIdentity, waitUntil } from '../../../../../src/host/process.js';
import {
  endGuestIo,
  hasGuestIo,
  restartGuestIo,
  startGuestIo,
} from '../../../../../src/machines/hypervisor/guest-io/guest-io.js';
import { GUEST_IO_SOCKETS } from '../../../../../src/machines/hypervisor/guest-io/sockets.js';

const { signal } = new AbortController();

/** The frame of a SYN, as QEMU sends it. */
function framed(destination: string): Buffer {
  const frame = Buffer.alloc(14 + 20 + 20);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame[23] = 6;
  Buffer.from(destination.split('.').map(Number)).copy(frame, 30);
  frame[14 + 20 + 13] = 0x02;
  const length = Buffer.alloc(4);
  length.writeUInt32BE(frame.length);
  return Buffer.concat([length, frame]);
}

let folder: string;
let servers: readonly Server[];
/** QEMU's ends of the sockets, in the order of `GUEST_IO_SOCKETS`. */
let sockets: Socket[];

/** Serves the sockets as QEMU does. */
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-io-'));
  sockets = [];
  servers = Object.values(GUEST_IO_SOCKETS).map((name, index) =>
    createServer((socket) => void (sockets[index] = socket.on('error', () => undefined))).listen(
      path.join(folder, name),
    ),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
});
afterEach(async () => {
  await endGuestIo(folder);
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  await rm(folder, { recursive: true });
});

const consoleLog = () => path.join(folder, 'console.log');
const start = () =>
  startGuestIo(folder, { sockets: folder, consoleLog: consoleLog(), network: 'internet' }, {}, signal);
const identity = async () =>
  (await readJson<{ identity: ProcessIdentity }>(path.join(folder, 'guest-io.json')))?.identity as ProcessIdentity;

describe('the process beside a QEMU', () => {
  test('gives back the packets that pass, writes the console, and ends when QEMU does', async () => {
    await start();
    const [unfiltered, filtered, serial] = sockets;
    unfiltered?.write(Buffer.concat([framed('127.0.0.1'), framed('1.1.1.1'), framed('10.0.2.2')]));
    serial?.write('Linux version 6\r\n');
    const [back] = (await once(filtered as Socket, 'data')) as [Buffer];
    expect(back).toEqual(framed('1.1.1.1'));
    const text = () => readFile(consoleLog(), 'utf8').catch(() => '');
    expect(await waitUntil(async () => (await text()) === 'Linux version 6\r\n', 10_000)).toBe(true);
    const running = await identity();
    serial?.destroy();
    expect(await waitUntil(async () => !(await isAlive(running)), 10_000)).toBe(true);
  });

  test('is started again as it was', async () => {
    await start();
    const first = await identity();
    process.kill(first.pid, 'SIGKILL');
    expect(await waitUntil(async () => !(await hasGuestIo(folder)), 10_000)).toBe(true);
    await restartGuestIo(folder, signal);
    expect(await hasGuestIo(folder)).toBe(true);
    expect(await identity()).not.toEqual(first);
  });

  test('is one: another that never got on record is ended first', async () => {
    await start();
    const first = await identity();
    await rm(path.join(folder, 'guest-io.json'));
    await start();
    expect(await isAlive(first)).toBe(false);
    expect(await isAlive(await identity())).toBe(true);
  });

  test.each([
    ['a program that ends at once', '/bin/false', 'it ended'],
    ['a program that is not there', '/no/such/node', 'spawn /no/such/node ENOENT'],
  ])('that Node does not start is an error: %s', async (_, node, reason) => {
    const { execPath } = process;
    process.execPath = node;
    onTestFinished(() => void (process.execPath = execPath));
    await expect(start()).rejects.toMatchObject({
      code: 'MACHINE_GUEST_IO',
      message: `the guest's packet filter did not connect: ${reason}`,
    });
  });

  test('that cannot do its work is an error with its last words', async () => {
    const io = { sockets: folder, consoleLog: path.join(folder, 'no', 'such', 'folder'), network: 'internet' } as const;
    await expect(startGuestIo(folder, io, {}, signal)).rejects.toMatchObject({
      code: 'MACHINE_GUEST_IO',
      message: "the guest's packet filter did not connect: it ended",
      details: { log: expect.arrayContaining([expect.stringContaining('ENOENT')]) as unknown },
    });
  });
});
