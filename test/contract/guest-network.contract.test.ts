import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { GuestNetwork, MachineShape } from '../../src/domain/profile.js';
import { layoutOf } from '../../src/host/paths.js';
import { readJson } from '../../src/host/files.js';
import { type ProcessIdentity, processesWithEnvironment, waitUntil } from '../../src/host/process.js';
import type { Machine, Work } from '../../src/machines/machine.js';
import { createQemuDriver } from '../../src/machines/qemu/driver.js';
import { machineFolder } from '../../src/machines/record.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import { ownNetwork, probeNetworks, type OwnNetwork } from '../e2e/own-network.js';
import { shareBases } from '../shared-bases.js';
import { hasOrSkip } from './requirements.js';

const MINUTE_MS = 60_000;
/** The template of this shape is another test's, too. */
const SHAPE: MachineShape = { memoryMiB: 1024, cpus: 1, diskBytes: [1024 ** 3], firmware: 'bios' };
const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const IN_GUEST = ['internet', 'none', 'host'] as const;

/** What the guest tries to reach. */
interface Target {
  readonly name: string;
  readonly protocol: 'tcp' | 'udp';
  readonly address: string;
  readonly port: number;
}

/** What came in, by the names of targets. */
const arrived = new Set<string>();
const noteLine = (line: Buffer | string) => void arrived.add(String(line).trim());

async function listenTcp(host: string, port = 0): Promise<{ port: number; close: () => void }> {
  const server = createServer((socket) => socket.on('data', noteLine).on('error', () => undefined)).listen(port, host);
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

async function listenUdp(host: string, port: number): Promise<{ close: () => void }> {
  const socket = createSocket('udp4').on('message', noteLine).bind(port, host);
  await once(socket, 'listening');
  return { close: () => socket.close() };
}

/**
 * Makes another computer of a network namespace. It has an address on this host's network, one that
 * is public and on this host's network, and two that are behind it: the internet.
 */
async function makeNeighbour(network: OwnNetwork): Promise<{ port: number; close: () => void }> {
  const inside = (...command: string[]) => execa(network.inside[0] ?? '', [...network.inside.slice(1), ...command]);
  const { stdout } = await execa('ip', ['-o', 'address', 'show', 'to', network.outside]);
  const near = stdout.split(/\s+/)[1] ?? '';
  const { stdout: links } = await inside('ip', '-o', 'link');
  const far = /: (npb[^@:]+)/.exec(links)?.[1] ?? '';
  const ip = (...args: string[]) => execa('ip', args);
  await ip('address', 'add', '11.22.34.1/24', 'dev', near);
  await ip('-6', 'address', 'add', 'fd77::1/64', 'dev', near, 'nodad');
  await inside('ip', '-6', 'address', 'add', 'fd77::2/64', 'dev', far, 'nodad');
  for (const address of ['11.22.33.44/32', '11.22.34.2/32']) await inside('ip', 'address', 'add', address, 'dev', 'lo');
  await inside('ip', '-6', 'address', 'add', '2a00:1:2:3::44/128', 'dev', 'lo', 'nodad');
  await inside('ip', 'route', 'add', 'default', 'via', network.outside);
  await inside('ip', '-6', 'route', 'add', 'default', 'via', 'fd77::1');
  await ip('route', 'add', '11.22.33.44/32', 'via', network.outside.replace(/1$/, '2'));
  await ip('-6', 'route', 'add', '2a00:1:2:3::44/128', 'via', 'fd77::2');
  const server = inside(
    process.execPath,
    '-e',
    `require('net').createServer(s => s.pipe(process.stdout, { end: false })).listen(4711, '::', () => console.log('listens'))`,
  );
  server.catch(() => undefined);
  const lines = createInterface({ input: server.stdout });
  lines.on('line', noteLine);
  await waitUntil(async () => arrived.has('listens'), MINUTE_MS);
  return { port: 4711, close: () => void server.kill('SIGKILL') };
}

function scanScript(targets: readonly Target[]): string {
  const tries = targets.map(
    ({ name, protocol, address, port }) =>
      `timeout 15 bash -c 'echo ${name} >/dev/${protocol}/${address}/${port}' 2>/dev/null &`,
  );
  // The debian base takes no IPv6 address by itself; another guest may.
  const addresses = [
    "link=$(ip route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p')",
    'ip -6 address add fec0::99/64 dev "$link" nodad && ip -6 route add default via fec0::2',
  ];
  return [...addresses, ...tries, 'wait', 'getent ahosts deb.debian.org >/dev/null && echo resolves; true'].join('\n');
}

const has =
  (await hasOrSkip('qemu', createQemuDriver({ layout: layoutOf(tmpdir()) }))) &&
  (await hasOrSkip('netns', { probe: probeNetworks }));

describe.runIf(has)('what a guest reaches', () => {
  const machines = new Map<string, Machine>();
  const ids = IN_GUEST.map((name) => `reach-${name}-${process.pid}`);
  const closing: (() => void)[] = [];
  let network: OwnNetwork;
  let home: string;
  let targets: readonly Target[];
  const driver = () => createQemuDriver({ layout: layoutOf(home) });

  beforeAll(async () => {
    const declared = await listenTcp('127.0.0.1');
    const [other, wide, six] = await Promise.all([
      listenTcp('127.0.0.1'),
      listenTcp('0.0.0.0'),
      listenTcp('::1', declared.port),
    ]);
    closing.push(declared.close, other.close, wide.close, six.close);
    const datagrams = [await listenUdp('127.0.0.1', declared.port), await listenUdp('127.0.0.1', other.port)];
    closing.push(...datagrams.map(({ close }) => close));
    network = await ownNetwork(210);
    const neighbour = await makeNeighbour(network);
    closing.push(neighbour.close);
    const own = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ family, internal }) => family === 'IPv4' && !internal);
    const tcp = (name: string, address: string, port: number): Target => ({ name, protocol: 'tcp', address, port });
    const udp = (name: string, address: string, port: number): Target => ({ name, protocol: 'udp', address, port });
    targets = [
      tcp('declared', '10.0.2.2', declared.port),
      tcp('declared-6', 'fec0::2', declared.port),
      udp('declared-udp', '10.0.2.2', declared.port),
      tcp('other', '10.0.2.2', other.port),
      udp('other-udp', '10.0.2.2', other.port),
      tcp('any-interface', '10.0.2.2', wide.port),
      tcp('resolver-as-host', '10.0.2.3', declared.port),
      tcp('elsewhere-on-its-network', '10.0.2.4', declared.port),
      tcp('resolver-as-host-6', 'fec0::3', declared.port),
      ...own.map(({ address }) => tcp(`own-${address}`, address, wide.port)),
      tcp('neighbour', network.outside.replace(/1$/, '2'), neighbour.port),
      tcp('neighbour-6', 'fd77::2', neighbour.port),
      tcp('public-neighbour', '11.22.34.2', neighbour.port),
      tcp('internet', '11.22.33.44', neighbour.port),
      tcp('internet-6', '2a00:1:2:3::44', neighbour.port),
    ];
    // All that a guest is kept from is there for its host.
    const near = targets.filter(({ name }) => /^(own-|neighbour|public-neighbour)/.test(name));
    for (const { name, address, port } of near) connect(port, address).end(`${name}\n`);
    await waitUntil(async () => near.every(({ name }) => arrived.has(name)), MINUTE_MS);
    expect([...arrived]).toEqual(expect.arrayContaining(near.map(({ name }) => name)));
    const networks: readonly GuestNetwork[] = ['internet', 'none', { host: [declared.port] }];
    home = await mkdtemp(path.join(tmpdir(), 'nixproof-reach-'));
    await prepareBase('debian', await shareBases(home, inject('sharedHome')), work, SHAPE);
    for (const [index, name] of IN_GUEST.entries()) {
      const shape = { ...SHAPE, network: networks[index] ?? 'none' };
      machines.set(name, await driver().create({ id: ids[index] ?? '', base: 'debian', shape }, work));
    }
  }, 20 * MINUTE_MS);

  afterAll(async () => {
    for (const close of closing) close();
    for (const machine of machines.values()) await machine[Symbol.asyncDispose]();
    for (const id of ids) await driver().destroy(id, work);
    for (const id of ids) expect(await processesWithEnvironment('NIXPROOF_MACHINE', id)).toEqual([]);
    await network[Symbol.asyncDispose]();
    await rm(home, { recursive: true, force: true });
  }, 2 * MINUTE_MS);

  const scan = async (
    name: string,
    expected: readonly string[],
  ): Promise<{ readonly reached: readonly string[]; readonly resolves: boolean }> => {
    arrived.clear();
    const connection = await machines.get(name)?.connect(work);
    const result = await connection?.exec(['bash', '-c', scanScript(targets)], { timeoutMs: 2 * MINUTE_MS });
    // The last of it may still be on its way here.
    await waitUntil(async () => expected.every((one) => arrived.has(one)), 10_000);
    return { reached: [...arrived].sort(), resolves: result?.stdout === 'resolves\n' };
  };
  const hostResolves = () =>
    lookup('deb.debian.org').then(
      () => true,
      () => false,
    );
  const INTERNET = ['internet', 'internet-6'];
  const DECLARED = ['declared', 'declared-6', 'declared-udp', ...INTERNET];

  test('by default: the internet, and nothing of its host or its neighbours', { timeout: 3 * MINUTE_MS }, async () => {
    expect(await scan('internet', INTERNET)).toEqual({ reached: INTERNET, resolves: await hostResolves() });
  });

  test('none: nothing', { timeout: 3 * MINUTE_MS }, async () => {
    expect(await scan('none', [])).toEqual({ reached: [], resolves: false });
  });

  test('host: the declared port and the internet', { timeout: 3 * MINUTE_MS }, async () => {
    expect(await scan('host', DECLARED)).toEqual({ reached: DECLARED, resolves: await hostResolves() });
  });

  test('its filter is replaced where it was killed, and passes no more', { timeout: 5 * MINUTE_MS }, async () => {
    const id = ids[IN_GUEST.indexOf('host')] ?? '';
    const machine = machines.get('host');
    const filter = async () =>
      (await readJson<{ identity: ProcessIdentity }>(path.join(machineFolder(layoutOf(home), id), 'guest-io.json')))
        ?.identity;
    const killed = await filter();
    process.kill(killed?.pid ?? 0, 'SIGKILL');
    await machine?.[Symbol.asyncDispose]();
    expect(await scan('host', DECLARED)).toMatchObject({ reached: DECLARED });
    expect(await filter()).not.toEqual(killed);
  });
});
