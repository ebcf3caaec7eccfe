import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { makeFolder, writeJson } from '../../../../src/host/files.js';
import { layoutOf, type Layout } from '../../../../src/host/paths.js';
import { findStackKey, stackKey } from '../../../../src/stack/membership/stack-key.js';
import { stackFiles } from '../../../../src/stack/stack-files.js';
import { ownKeyFile, sealingKey } from '../../../../src/temporal/key.js';

let folder: string;
let layout: Layout;
beforeEach(async () => {
  vi.stubEnv('NIXPROOF_KEY_FILE', '');
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-stack-key-'));
  layout = layoutOf(path.join(folder, 'home'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** A database that the key of this id has sealed. */
async function sealedWith(key: string): Promise<void> {
  const files = stackFiles(layout);
  await makeFolder(files.folder);
  await writeFile(files.database, '');
  await writeJson(files.last, { ports: {}, uiPort: 1, version: '1', key });
}

test('without a database it is the home’s own, made where there is none', async () => {
  expect(await findStackKey(layout)).toBeUndefined();
  const key = await stackKey(layout);
  expect(key.file).toBe(ownKeyFile(layout));
  await sealedWith(key.id);
  expect(await stackKey(layout)).toEqual(key);
});

test('a lost key is not replaced by a new one while the database needs it', async () => {
  const { id } = await sealingKey(layout);
  await sealedWith(id);
  await rename(ownKeyFile(layout), path.join(folder, 'kept.key'));
  const error = { code: 'SERVER_KEY_DIFFERS', details: { key: id } };
  await expect(stackKey(layout)).rejects.toMatchObject(error);
  await expect(findStackKey(layout)).rejects.toMatchObject(error);
  expect(existsSync(ownKeyFile(layout))).toBe(false);
  vi.stubEnv('NIXPROOF_KEY_FILE', path.join(folder, 'kept.key'));
  expect(await stackKey(layout)).toMatchObject({ id });
  vi.stubEnv('NIXPROOF_KEY_FILE', '');
  await rm(stackFiles(layout).database);
  expect((await stackKey(layout)).id).not.toBe(id);
});

test('a home that was used with a shared key says first to name that again, then what its loss costs', async () => {
  const { id } = await stackKey(layout);
  await sealedWith('12ab34cd');
  await expect(stackKey(layout)).rejects.toMatchObject({
    code: 'SERVER_KEY_DIFFERS',
    message: expect.stringMatching(new RegExp(`key 12ab34cd, .*has key ${id}`)) as string,
    hint: expect.stringMatching(/^name the file with key 12ab34cd in NIXPROOF_KEY_FILE.*rm /) as string,
    details: { key: '12ab34cd', found: id },
  });
});
