import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { waitForBanner } from '../../../../src/machines/banner.js';
import { consoleTail } from '../../../../src/machines/boot.js';
import { requireDisk, requireMemory } from '../../../../src/host/capacity.js';
import { findUefi } from '../../../../src/machines/hypervisor/firmware.js';
import { describeInstallation } from '../../../../src/machines/hypervisor/installation.js';
import { nameSockets, socketsFolder } from '../../../../src/machines/qemu/launch.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-host-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('what a machine needs of its host', () => {
  test('is refused with numbers where there is too little', async () => {
    const disk = { code: 'HOST_DISK_FULL', details: { neededBytes: 2 ** 60 } };
    await expect(requireDisk(folder, 2 ** 60, 'a machine')).rejects.toMatchObject(disk);
    await expect(requireMemory(2 ** 40)).rejects.toMatchObject({
      code: 'HOST_MEMORY_LOW',
      details: { neededMiB: 2 ** 40 },
    });
  });

  test('is granted where there is enough', async () => {
    await requireDisk(folder, 1, 'a machine');
    await requireMemory(1);
  });

  test('is described', () => {
    const found = { binary: 'qemu-system-x86_64', version: '7.2.22', uefi: undefined, confined: true };
    expect(describeInstallation({ ...found, accelerator: 'kvm', acceleratorReason: undefined })).toBe(
      'QEMU 7.2.22, kvm, bios only: no OVMF was found',
    );
    expect(
      describeInstallation({
        ...found,
        uefi: { code: 'c', variables: 'v' },
        accelerator: 'tcg',
        acceleratorReason: 'kvm opens, but kills its guest',
      }),
    ).toBe('QEMU 7.2.22, tcg (kvm opens, but kills its guest), uefi and bios');
  });
});

describe('firmware', () => {
  test('is the first pair of which both files are there', async () => {
    const pair = (name: string) => ({
      code: path.join(folder, `${name}-code`),
      variables: path.join(folder, `${name}-variables`),
    });
    const [half, whole, later] = [pair('half'), pair('whole'), pair('later')];
    for (const file of [half.code, whole.code, whole.variables, later.code, later.variables]) await writeFile(file, '');
    expect(await findUefi([half, whole, later])).toEqual(whole);
    expect(await findUefi([half], '')).toBeUndefined();
  });

  test('is QEMU’s own where the distribution has none: beside the binary that the one on PATH is a link to', async () => {
    const store = path.join(folder, 'store-qemu');
    const profile = path.join(folder, 'profile/bin');
    const own = {
      code: path.join(store, 'share/qemu/edk2-x86_64-code.fd'),
      variables: path.join(store, 'share/qemu/edk2-i386-vars.fd'),
    };
    for (const file of [own.code, own.variables, path.join(store, 'bin/qemu-system-x86_64')]) {
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, '');
    }
    await mkdir(profile, { recursive: true });
    await symlink(path.join(store, 'bin/qemu-system-x86_64'), path.join(profile, 'qemu-system-x86_64'));
    expect(await findUefi([], `/nowhere:${profile}`)).toEqual(own);
    await rm(own.variables);
    expect(await findUefi([], profile)).toBeUndefined();
  });
});

describe('a sockets’ folder', () => {
  test('leaves room for the sockets in a socket’s longest path, and keeps its random name', async () => {
    const [one, other] = [path.join(folder, 'long'.repeat(50)), path.join(folder, 'other')];
    for (const machine of [one, other]) await mkdir(machine);
    const sockets = nameSockets(one);
    expect(path.join(sockets, 'console').length).toBeLessThan(104);
    expect(sockets).toMatch(/[0-9a-f]{32}$/);
    expect(socketsFolder(one)).toBe(sockets);
    expect(nameSockets(other)).not.toBe(sockets);
  });

  test('of a machine that has none, or is not there, does not exist and is not made', async () => {
    expect(existsSync(socketsFolder(path.join(folder, 'gone')))).toBe(false);
    expect(existsSync(socketsFolder(folder))).toBe(false);
    expect(await readdir(folder)).toEqual([]);
  });

  test.runIf(process.getuid?.() === 0)('that another user made is refused', async () => {
    const sockets = nameSockets(folder);
    await mkdir(sockets);
    onTestFinished(() => rm(sockets, { recursive: true }));
    await chown(sockets, 65534, 65534);
    expect(() => socketsFolder(folder)).toThrow(expect.objectContaining({ code: 'HOST_PERMISSION' }) as Error);
  });
});

describe('the console’s tail', () => {
  test('is its last lines, without empty ones', async () => {
    const log = path.join(folder, 'console.log');
    await writeFile(log, Array.from({ length: 100 }, (_, i) => `line ${i}\r\n\r\n`).join(''));
    const tail = await consoleTail(log);
    expect(tail).toHaveLength(80);
    expect(tail.at(-1)).toBe('line 99');
  });

  test('is empty where there is no console', async () => {
    expect(await consoleTail(path.join(folder, 'nothing'))).toEqual([]);
  });
});

describe('waiting for a banner', () => {
  const options = { signal: new AbortController().signal, stop: async () => false, onAttempt: () => Promise.resolve() };
  const serve = async (greeting: string) => {
    const server = createServer((socket) => socket.on('error', () => undefined).end(greeting));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return { server, port: typeof address === 'object' && address ? address.port : 0 };
  };

  test('ends when an SSH server says it', async () => {
    const { server, port } = await serve('SSH-2.0-OpenSSH_9.2\r\n');
    expect(await waitForBanner({ host: '127.0.0.1', port }, 5000, options)).toBe(true);
    server.close();
  });

  test('is not fooled by something else, and ends at its deadline or when there is nothing to wait for', async () => {
    const { server, port } = await serve('HTTP/1.1 400 Bad Request\r\n');
    expect(await waitForBanner({ host: '127.0.0.1', port }, 50, options)).toBe(false);
    expect(await waitForBanner({ host: '127.0.0.1', port }, 60_000, { ...options, stop: async () => true })).toBe(
      false,
    );
    server.close();
  });
});
