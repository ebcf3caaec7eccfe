import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { pinnedIsoBase, publishedIsoBase } from '../../../src/bases/downloaded-iso.js';
import { download, howFar, howFast } from '../../../src/bases/download.js';
import { localImageBase } from '../../../src/bases/local-image.js';
import { layoutOf } from '../../../src/host/paths.js';
import { runCommand } from '../../../src/host/process.js';
import { serveImage } from './image-server.js';

const MIB = 1024 * 1024;
const content = randomBytes(3 * MIB);
const sumOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
const sha256 = sumOf(content);
const patience = { attempts: 2, pauseMs: 1, stallMs: 10_000 };

let folder: string;
let said: string[];
const work = { signal: new AbortController().signal, progress: (message: string) => void said.push(message) };
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-images-'));
  said = [];
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test.each([
  [600 * MIB, 1154 * MIB, 12_500, '51 %, 600 of 1154 MiB at 50.3 MB/s'],
  [MIB - 1, MIB, 2000, '99 %, 0 of 1 MiB at 0.5 MB/s'],
  [5 * MIB, Number.NaN, 999, '5 MiB'],
  [0, 0, 0, '0 MiB'],
])('how far a download is: %d of %d bytes after %d ms is told as %s', (bytes, total, elapsedMs, told) => {
  expect(howFar(bytes, total) + howFast(bytes, elapsedMs)).toBe(told);
});

describe('a download', () => {
  const request = (url: string) => ({ url: `${url}/image.iso`, sha256, file: path.join(folder, 'image.iso') });

  test('that breaks off twice is gone on with where it did', async () => {
    await using server = await serveImage(content, [
      { kind: 'breaks-off', after: MIB },
      { kind: 'breaks-off', after: MIB },
    ]);
    await download(request(server.url), work, patience);
    expect(sumOf(await readFile(path.join(folder, 'image.iso')))).toBe(sha256);
    expect(await readdir(folder)).toEqual(['image.iso']);
    const [first, ...later] = server.ranges;
    expect(first).toBeUndefined();
    expect(later).toHaveLength(2);
    expect(later.at(-1)).toMatch(/^bytes=[1-9]\d*-$/);
    expect(said.filter((line) => line.startsWith('the download broke off'))).toHaveLength(2);
    expect(said.filter((line) => /^downloading: \d+ %, \d of 3 MiB$/.test(line))).not.toEqual([]);
    expect(said.at(-1)).toBe('verifying its SHA-256');
  });

  test('that an earlier process left half-done is gone on with', async () => {
    await writeFile(path.join(folder, 'image.iso.part'), content.subarray(0, MIB));
    await using server = await serveImage(content);
    await download(request(server.url), work, patience);
    expect(server.ranges).toEqual([`bytes=${MIB}-`]);
  });

  test('that was whole but for its name needs nothing more', async () => {
    await writeFile(path.join(folder, 'image.iso.part'), content);
    await using server = await serveImage(content);
    await download(request(server.url), work, patience);
    expect(await readdir(folder)).toEqual(['image.iso']);
  });

  test('from a server without ranges begins again', async () => {
    await writeFile(path.join(folder, 'image.iso.part'), randomBytes(MIB));
    await using server = await serveImage(content, [{ kind: 'no-ranges' }]);
    await download(request(server.url), work, patience);
    expect(sumOf(await readFile(path.join(folder, 'image.iso')))).toBe(sha256);
  });

  test('of something else is refused and removed', async () => {
    const other = randomBytes(MIB);
    await using server = await serveImage(other);
    await expect(download(request(server.url), work, patience)).rejects.toMatchObject({
      code: 'HOST_DOWNLOAD_SUM',
      message: `${server.url}/image.iso is not what was asked for: its SHA-256 is ${sumOf(other)}, not ${sha256}`,
      hint: 'what came was removed; compare the sum with the one its publisher names, and try again',
    });
    expect(await readdir(folder)).toEqual([]);
  });

  test('that the server refuses is not tried again; one that it cannot serve just now is', async () => {
    await using refusing = await serveImage(content, [{ kind: 'status', status: 404 }]);
    await expect(download(request(refusing.url), work, patience)).rejects.toMatchObject({
      code: 'HOST_DOWNLOAD_FAILED',
      message: `${refusing.url}/image.iso: the server answered 404 Not Found`,
    });
    await using busy = await serveImage(content, [{ kind: 'status', status: 503 }]);
    await download(request(busy.url), work, patience);
    expect(busy.ranges).toHaveLength(2);
  });

  test('without a network says so', async () => {
    const server = await serveImage(content);
    const { url } = server;
    await server[Symbol.asyncDispose]();
    await expect(download(request(url), work, patience)).rejects.toMatchObject({
      code: 'HOST_DOWNLOAD_FAILED',
      message: expect.stringMatching(/^http.*\/image\.iso cannot be reached: connect ECONNREFUSED/) as string,
      hint: "check this host's network; or get the image in another way and name it with its hash: `--base iso:PATH#SHA256`",
    });
  });
});

describe('an ISO from the network', () => {
  test('is got once for every home, and kept with its manifest', async () => {
    await using server = await serveImage(content);
    const cache = path.join(folder, 'cache');
    for (const home of ['one', 'two']) {
      const base = pinnedIsoBase({ url: `${server.url}/image.iso`, sha256 }, layoutOf(path.join(folder, home)), cache);
      expect(await base.find()).toBeUndefined();
      const image = await base.prepare(work);
      expect(await base.find()).toEqual(image);
      expect(image).toMatchObject({ name: 'iso', fingerprint: sha256.slice(0, 16), boot: { kind: 'firmware' } });
      expect(sumOf(await readFile(image.iso ?? ''))).toBe(sha256);
      const manifest = await readFile(path.join(path.dirname(image.iso ?? ''), 'manifest.json'), 'utf8');
      expect(JSON.parse(manifest)).toMatchObject({
        recipe: { url: `${server.url}/image.iso`, sha256 },
        files: { 'image.iso': { sha256, bytes: 3 * MIB } },
      });
    }
    expect(server.ranges).toHaveLength(1);
  });

  test('is removed where it is no longer what came, and got anew', async () => {
    await using server = await serveImage(content);
    const base = pinnedIsoBase(
      { url: `${server.url}/image.iso`, sha256 },
      layoutOf(path.join(folder, 'home')),
      path.join(folder, 'cache'),
    );
    const { iso = '' } = await base.prepare(work);
    await writeFile(iso, 'x', { flag: 'r+' });
    await expect(base.prepare(work)).rejects.toMatchObject({ code: 'HOST_DOWNLOAD_SUM' });
    expect(sumOf(await readFile((await base.prepare(work)).iso ?? ''))).toBe(sha256);
    expect(server.ranges).toHaveLength(2);
  });

  test('under a distribution’s address is pinned to what it was at first', async () => {
    await using server = await serveImage(content, [], `${sha256}  nixos-minimal-1.iso\n`);
    const layout = layoutOf(path.join(folder, 'home'));
    const recipe = { name: 'nixos', url: `${server.url}/latest.iso` };
    const base = publishedIsoBase(recipe, layout, path.join(folder, 'cache'));
    expect(await base.find()).toBeUndefined();
    const image = await base.prepare(work);
    expect(image.name).toBe('nixos');
    const manifest = await readFile(path.join(path.dirname(image.iso ?? ''), 'manifest.json'), 'utf8');
    expect(JSON.parse(manifest)).toMatchObject({ name: 'nixos', recipe: { url: `${server.url}/image.iso`, sha256 } });
    await server[Symbol.asyncDispose]();
    expect(await base.prepare(work)).toEqual(image);
    expect(await base.find()).toEqual(image);
  });

  test('whose published sum is none is not got', async () => {
    await using server = await serveImage(content, [], '<html>log in first</html>');
    const recipe = { name: 'nixos', url: `${server.url}/latest.iso` };
    await expect(
      publishedIsoBase(recipe, layoutOf(folder), path.join(folder, 'cache')).prepare(work),
    ).rejects.toMatchObject({
      code: 'HOST_DOWNLOAD_FAILED',
      message: `${server.url}/image.iso.sha256 holds no SHA-256`,
    });
  });
});

describe('an image of this host', () => {
  const image = (kind: 'iso' | 'disk', name: string, sum?: string) =>
    localImageBase({ kind, path: path.join(folder, name), sha256: sum }, path.join(folder, 'cache'));

  test('is named by its content, whatever its name', async () => {
    await writeFile(path.join(folder, 'a.iso'), content);
    await writeFile(path.join(folder, 'b.iso'), content);
    const first = await image('iso', 'a.iso').find();
    expect(first).toEqual({
      name: 'iso',
      fingerprint: sha256.slice(0, 16),
      iso: path.join(folder, 'a.iso'),
      boot: { kind: 'firmware' },
    });
    expect((await image('iso', 'b.iso', sha256.toUpperCase()).find())?.fingerprint).toBe(first?.fingerprint);
    await writeFile(path.join(folder, 'a.iso'), content.subarray(1));
    expect((await image('iso', 'a.iso').find())?.fingerprint).toBe(sumOf(content.subarray(1)).slice(0, 16));
  });

  test('is read again only where its size or its time has changed', async () => {
    const file = path.join(folder, 'a.iso');
    const then = new Date('2026-01-01');
    await writeFile(file, 'aaaa');
    await utimes(file, then, then);
    const before = await image('iso', 'a.iso').find();
    await writeFile(file, 'bbbb');
    await utimes(file, then, then);
    expect(await image('iso', 'a.iso').find()).toEqual(before);
    await utimes(file, then, new Date('2026-01-02'));
    expect(await image('iso', 'a.iso').find()).not.toEqual(before);
  });

  test('with another sum than the one named is refused', async () => {
    await writeFile(path.join(folder, 'a.iso'), content);
    const wrong = '0'.repeat(64);
    await expect(image('iso', 'a.iso', wrong).find()).rejects.toMatchObject({
      code: 'HOST_BASE_IMAGE',
      message: `the image ${path.join(folder, 'a.iso')} cannot be a base: its SHA-256 is ${sha256}, not ${wrong}`,
    });
  });

  test('that is not there is refused', async () => {
    await expect(image('disk', 'none.qcow2').prepare(work)).rejects.toMatchObject({
      code: 'HOST_BASE_IMAGE',
      hint: 'name an image that is there',
    });
  });

  test.each(['qcow2', 'raw'] as const)('may be a disk as %s', async (format) => {
    const file = path.join(folder, 'disk');
    await runCommand('qemu-img', ['create', '-q', '-f', format, file, '1M']);
    expect(await image('disk', 'disk').find()).toMatchObject({ name: 'disk', disk: { path: file, format } });
  });

  test('of another format is refused with the way to convert it', async () => {
    const file = path.join(folder, 'disk.vmdk');
    await runCommand('qemu-img', ['create', '-q', '-f', 'vmdk', file, '1M']);
    await expect(image('disk', 'disk.vmdk').find()).rejects.toMatchObject({
      code: 'HOST_BASE_IMAGE',
      hint: `convert it: \`qemu-img convert -O qcow2 ${file} disk.qcow2\``,
    });
  });
});
