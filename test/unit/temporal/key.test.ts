import { chmod, chown, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { layoutOf } from '../../../src/host/paths.js';
import { sealingKey } from '../../../src/temporal/key.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-key-'));
  await chmod(folder, 0o755);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('is made once, for its owner alone, by however many ask at once', async () => {
  const layout = layoutOf(path.join(folder, 'home'));
  const keys = await Promise.all(Array.from({ length: 20 }, () => sealingKey(layout, {})));
  expect(new Set(keys.map(({ secret }) => secret.toString('hex'))).size).toBe(1);
  const [key] = keys;
  expect(key?.secret).toHaveLength(32);
  expect((await stat(key?.file ?? '')).mode & 0o777).toBe(0o600);
  expect((await stat(layout.keys)).mode & 0o777).toBe(0o700);
  expect((await sealingKey(layoutOf(path.join(folder, 'other')), {})).id).not.toBe(key?.id);
});

test('is another home’s where NIXPROOF_KEY_FILE names that', async () => {
  const shared = await sealingKey(layoutOf(path.join(folder, 'home')), {});
  const here = await sealingKey(layoutOf(path.join(folder, 'other')), { NIXPROOF_KEY_FILE: shared.file });
  expect(here).toEqual(shared);
});

test.each([
  ['is not there', undefined],
  ['is empty', ''],
  ['holds something else', 'ssh-ed25519 AAAA'],
  ['is cut off', Buffer.alloc(31).toString('base64')],
])('a file that %s is told, with what to do', async (_, text) => {
  const file = path.join(folder, 'shared.key');
  if (text !== undefined) await writeFile(file, text, { mode: 0o600 });
  await expect(sealingKey(layoutOf(folder), { NIXPROOF_KEY_FILE: file })).rejects.toMatchObject({
    code: 'CONFIG_KEY_FILE',
    hint: expect.stringContaining('keys/sealing.key') as string,
  });
});

test('a home that anyone may write to is refused', async () => {
  const layout = layoutOf(path.join(folder, 'home'));
  await sealingKey(layout, {});
  await chmod(layout.home, 0o777);
  await expect(sealingKey(layout, {})).rejects.toMatchObject({
    code: 'CONFIG_KEY_FILE',
    hint: expect.stringContaining(`chmod o-w ${layout.home}`) as string,
  });
});

test('another user’s file is refused, root’s is not', async () => {
  const shared = await sealingKey(layoutOf(path.join(folder, 'home')), {});
  const open = () => sealingKey(layoutOf(folder), { NIXPROOF_KEY_FILE: shared.file });
  const { uid } = await stat(shared.file);
  vi.spyOn(process, 'getuid').mockReturnValue(4321);
  try {
    if (uid === 0) {
      expect(await open()).toEqual(shared);
      await chown(shared.file, 1234, 1234);
    }
    await expect(open()).rejects.toMatchObject({
      code: 'CONFIG_KEY_FILE',
      message: expect.stringContaining('another user’s') as string,
    });
  } finally {
    vi.restoreAllMocks();
  }
});

test('a folder in its place is told', async () => {
  await expect(sealingKey(layoutOf(folder), { NIXPROOF_KEY_FILE: folder })).rejects.toMatchObject({
    code: 'CONFIG_KEY_FILE',
    message: `${folder} is no sealing key: it is no file`,
  });
});

test.each([0o604, 0o602, 0o620])('a file that others may read or write, mode %o, is refused', async (mode) => {
  const shared = await sealingKey(layoutOf(path.join(folder, 'home')), {});
  await chmod(shared.file, mode);
  const told = { code: 'CONFIG_KEY_FILE', message: `${shared.file} is open to other users of this host` };
  await expect(sealingKey(layoutOf(folder), { NIXPROOF_KEY_FILE: shared.file })).rejects.toMatchObject(told);
  await expect(sealingKey(layoutOf(path.join(folder, 'home')), {})).rejects.toMatchObject(told);
  // As a container's platform mounts it.
  await chmod(shared.file, 0o440);
  expect(await sealingKey(layoutOf(folder), { NIXPROOF_KEY_FILE: shared.file })).toEqual(shared);
});
