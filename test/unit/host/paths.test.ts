import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { layoutOf } from '../../../src/host/paths.js';

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
