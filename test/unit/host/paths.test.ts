import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { cacheDirectory, layoutOf } from '../../../src/host/paths.js';

async function folders() {
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-paths-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const home = path.join(root, 'home');
  await mkdir(home);
  return { root, home, state: path.join(root, 'state') };
}

test('the cache is below HOME, whether it is there yet or not', async () => {
  const { home, state } = await folders();
  const env = { HOME: home, NIXPROOF_HOME: state };
  expect(cacheDirectory(env)).toBe(path.join(home, '.cache/nixproof'));
  await mkdir(path.join(home, '.cache/nixproof'), { recursive: true });
  expect(cacheDirectory(env)).toBe(path.join(home, '.cache/nixproof'));
});

test('the cache is where XDG_CACHE_HOME says', async () => {
  const { home, state, root } = await folders();
  const env = { HOME: home, NIXPROOF_HOME: state, XDG_CACHE_HOME: path.join(root, 'cache') };
  expect(cacheDirectory(env)).toBe(path.join(root, 'cache/nixproof'));
});

test('the cache is below NIXPROOF_HOME where HOME is no folder', async () => {
  const { root, state } = await folders();
  await writeFile(path.join(root, 'file'), '');
  const env = { HOME: path.join(root, 'file'), NIXPROOF_HOME: state };
  expect(cacheDirectory(env)).toBe(path.join(state, 'cache'));
});

test('the cache is below NIXPROOF_HOME where HOME is read-only', async () => {
  const { home, state } = await folders();
  const node = [
    process.execPath,
    fileURLToPath(new URL('../../fixtures/programs/cache-directory.mjs', import.meta.url)),
  ];
  const mounted = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
  const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
  const { stdout } = await promisify(execFile)('unshare', [...namespace, 'sh', '-c', mounted, home, ...node], {
    env: { PATH: process.env['PATH'], HOME: home, NIXPROOF_HOME: state },
  });
  expect(stdout).toBe(`${path.join(state, 'cache')}\n`);
});

test('bases behind a link are named by where they are: they outlive the home that the link is in', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-paths-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const homes = ['one', 'two'].map((name) => path.join(folder, name));
  for (const home of homes) {
    await mkdir(home);
    await symlink('../shared', path.join(home, 'bases'));
  }
  const layouts = homes.map(layoutOf);
  expect(layouts.map(({ bases }) => bases)).toEqual([path.join(folder, 'shared'), path.join(folder, 'shared')]);
  expect(layouts.map(({ machines }) => machines)).toEqual(homes.map((home) => path.join(home, 'machines')));
  expect(layoutOf(path.join(folder, 'three')).bases).toBe(path.join(folder, 'three', 'bases'));
});
