import { chmod, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { removeTree } from '../../../../src/host/tree/remove.js';
import { asUser, giveAway } from './as-user.js';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'nixproof-remove-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await giveAway(root);
});

test('a normal user removes a tree with read-only and closed folders and names of any bytes', async () => {
  await asUser(async () => {
    const odd = Buffer.concat([Buffer.from(path.join(root, 'tree/a/b/')), Buffer.from([0xff, 10])]);
    await mkdir(path.join(root, 'tree/a/b/closed'), { recursive: true });
    await mkdir(odd);
    await writeFile(Buffer.concat([odd, Buffer.from('/file')]), 'x');
    await chmod(odd, 0o500);
    await chmod(path.join(root, 'tree/a/b/closed'), 0);
    await chmod(path.join(root, 'tree/a/b'), 0o500);
    await chmod(path.join(root, 'tree/a'), 0o100);
    await chmod(path.join(root, 'tree'), 0o500);
    await removeTree(path.join(root, 'tree'));
    expect(await readdir(root)).toEqual([]);
  });
});

test('links out of the tree are removed, what they lead to stays as it is', async () => {
  await asUser(async () => {
    await mkdir(path.join(root, 'elsewhere'));
    await writeFile(path.join(root, 'elsewhere/file'), 'x');
    await mkdir(path.join(root, 'tree/closed'), { recursive: true });
    await symlink('../../elsewhere', path.join(root, 'tree/closed/link'));
    await chmod(path.join(root, 'elsewhere'), 0o500);
    await chmod(path.join(root, 'tree/closed'), 0o500);
    await removeTree(path.join(root, 'tree'));
    await symlink('elsewhere', path.join(root, 'link'));
    await removeTree(path.join(root, 'link'));
    expect(await readdir(root)).toEqual(['elsewhere']);
    expect(await readdir(path.join(root, 'elsewhere'))).toEqual(['file']);
    expect((await stat(path.join(root, 'elsewhere'))).mode & 0o777).toBe(0o500);
    await chmod(path.join(root, 'elsewhere'), 0o700);
  });
});

test("what is somebody else's cannot be removed, which is said; what is not there needs no removal", async ({
  skip,
}) => {
  skip(process.geteuid?.() !== 0, 'only root can make files of another user');
  await mkdir(path.join(root, 'theirs'));
  await writeFile(path.join(root, 'theirs/file'), 'x');
  await asUser(() => expect(removeTree(path.join(root, 'theirs'))).rejects.toMatchObject({ code: 'EACCES' }));
  expect(await readdir(path.join(root, 'theirs'))).toEqual(['file']);
  await removeTree(path.join(root, 'nothing'));
});
