import { mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { debianMirror, debianMirrorIn } from '../../../src/bases/debian-mirror.js';
import {
  customizeScript,
  DEBIAN_RECIPE,
  fingerprintOf,
  mmdebstrapArguments,
} from '../../../src/bases/debian-recipe.js';
import { debianBase } from '../../../src/bases/debian.js';
import { packagesIn } from '../../../src/bases/dpkg-status.js';
import { baseFor } from '../../../src/bases/registry.js';
import { isFinished, linkFiles, makeFolderWhole, MANIFEST } from '../../../src/bases/store.js';
import { layoutOf } from '../../../src/host/paths.js';
import { runCommand } from '../../../src/host/process.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-bases-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('the recipe', () => {
  test('is named by its content', () => {
    expect(fingerprintOf(DEBIAN_RECIPE)).toMatch(/^[0-9a-f]{16}$/);
    expect(fingerprintOf({ ...DEBIAN_RECIPE })).toBe(fingerprintOf(DEBIAN_RECIPE));
    expect(fingerprintOf({ ...DEBIAN_RECIPE, mask: [] })).not.toBe(fingerprintOf(DEBIAN_RECIPE));
  });

  test('puts every file into the guest as it stands', async () => {
    // Without the part that needs a system to be there.
    const files = customizeScript(DEBIAN_RECIPE).replaceAll(/^chroot .*$/gm, ':');
    await runCommand('sh', ['-c', files, 'sh', folder]);
    for (const [file, content] of Object.entries(DEBIAN_RECIPE.files)) {
      expect(await readFile(path.join(folder, file), 'utf8')).toBe(content);
    }
  });

  test('asks mmdebstrap for its packages, from the mirror where there is one', () => {
    const args = mmdebstrapArguments(DEBIAN_RECIPE, '/t.tar', 'http://mirror.example/debian');
    expect(args.find((arg) => arg.startsWith('--include='))).toContain('nix-bin');
    expect(args.slice(-3)).toEqual(['bookworm', '/t.tar', 'deb http://mirror.example/debian bookworm main']);
    expect(mmdebstrapArguments(DEBIAN_RECIPE, '/t.tar', undefined).at(-1)).toBe('/t.tar');
  });
});

describe('the mirror', () => {
  test.each([
    ['deb822', 'Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm\n', 'http://mirror.example/debian'],
    [
      'one line',
      '# deb http://old.example/debian x main\ndeb http://mirror.example/debian/ bookworm main\n',
      'http://mirror.example/debian/',
    ],
    [
      'one line with options',
      'deb [signed-by=/k arch=amd64] https://a.example/pub/debian bookworm main\n',
      'https://a.example/pub/debian',
    ],
    ['security only', 'URIs: http://mirror.example/debian-security\n', undefined],
    ['another distribution', 'deb http://archive.example/ubuntu jammy main\n', undefined],
    ['a list of mirrors', 'URIs: mirror+file:///etc/apt/mirrors/debian.list\n', undefined],
  ])('of a host with %s', (_, text, mirror) => {
    expect(debianMirrorIn(['', text])).toBe(mirror);
  });

  test('of the environment wins', async () => {
    expect(await debianMirror({ NIXPROOF_DEBIAN_MIRROR: 'http://mine.example/debian' })).toBe(
      'http://mine.example/debian',
    );
  });
});

test('installed packages are read from dpkg’s status, removed ones are not', () => {
  const status = `Package: a
Status: install ok installed
Version: 1:2-3
Description: one
 Version: no

Package: b
Status: deinstall ok config-files
Version: 1
`;
  expect(packagesIn(status)).toEqual({ a: '1:2-3' });
});

describe('the store', () => {
  test('gives the name to a folder that is whole, and clears away what was not', async () => {
    const target = path.join(folder, 'base');
    await mkdir(path.join(folder, '.base.dead'));
    await expect(
      makeFolderWhole(target, async (temporary) => {
        await writeFile(path.join(temporary, 'part'), '');
        throw new Error('interrupted');
      }),
    ).rejects.toThrow('interrupted');
    expect(await readdir(folder)).toEqual([]);
    expect(await isFinished(target)).toBe(false);
    await makeFolderWhole(target, (temporary) => writeFile(path.join(temporary, MANIFEST), '{}'));
    expect(await readdir(folder)).toEqual(['base']);
    expect(await isFinished(target)).toBe(true);
  });

  test('shares files instead of copying them', async () => {
    const [from, to] = [path.join(folder, 'from'), path.join(folder, 'to')];
    await mkdir(from);
    await mkdir(to);
    await writeFile(path.join(from, 'disk'), 'content');
    await linkFiles(from, to);
    expect((await stat(path.join(to, 'disk'))).ino).toBe((await stat(path.join(from, 'disk'))).ino);
  });

  test('a base that is in the cache is there for every home without work, and says so the second time', async () => {
    const cache = path.join(folder, 'cache');
    const cached = path.join(cache, 'bases', 'debian', fingerprintOf(DEBIAN_RECIPE));
    await mkdir(cached, { recursive: true });
    for (const name of ['disk.qcow2', 'vmlinuz', 'initrd', MANIFEST]) await writeFile(path.join(cached, name), name);
    const said: string[] = [];
    const work = { signal: new AbortController().signal, progress: (message: string) => said.push(message) };
    const base = debianBase(layoutOf(path.join(folder, 'home')), cache);
    expect(await base.find()).toBeUndefined();
    const image = await base.prepare(work);
    expect(await readFile(image.disk?.path ?? '', 'utf8')).toBe('disk.qcow2');
    expect(await base.find()).toEqual(image);
    await base.prepare(work);
    expect(said.at(-1)).toContain('is there already');
  });
});

describe('bases by name', () => {
  test.each(['windows', 'constructor', 'iso:', 'iso:https://example.org/live.iso'])(
    '%s is refused with the ones there are',
    (name) => {
      const hint = 'use one of: debian, nixos, disk:PATH, iso:PATH_OR_URL#SHA256';
      expect(() => baseFor(name, layoutOf(folder))).toThrow(
        expect.objectContaining({ code: 'UNSUPPORTED_BASE', hint }),
      );
    },
  );

  test.each(['debian', 'nixos', 'iso:/x.iso', 'disk:/x.img#1', `iso:https://example.org/live.iso#${'0a'.repeat(32)}`])(
    '%s is there',
    (name) => {
      expect(baseFor(name, layoutOf(folder), folder).name).toBe(name);
    },
  );
});
