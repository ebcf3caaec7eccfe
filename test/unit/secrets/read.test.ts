import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { NixproofError } from '../../../src/domain/error.js';
import type { Profile, SecretSource } from '../../../src/domain/profile.js';
import { readSecret } from '../../../src/secrets/read.js';
import { createSecretStore } from '../../../src/secrets/store.js';

const { signal } = new AbortController();
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-secrets-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const read = async (source: SecretSource) => {
  const { value, whole } = await readSecret('s', source, signal);
  return [value.toString(), whole.toString()];
};
const command = (...argv: string[]): SecretSource => ({ kind: 'command', argv, folder });
const file = async (content: string): Promise<SecretSource> => {
  await writeFile(path.join(folder, 'value'), content);
  return { kind: 'file', path: path.join(folder, 'value') };
};

describe('a secret is read', () => {
  test('from the environment', async () => {
    vi.stubEnv('A_SECRET', ' with blanks \n');
    expect(await read({ kind: 'env', name: 'A_SECRET' })).toEqual([' with blanks ', ' with blanks \n']);
  });
  test("from a file of the home folder of the worker's user", async () => {
    vi.stubEnv('HOME', folder);
    await file('of this user');
    expect(await read({ kind: 'file', path: '~/value' })).toEqual(['of this user', 'of this user']);
  });

  test('from a file, whose last newlines a variable does not get', async () => {
    expect(await read(await file('two\nlines\r\n\n'))).toEqual(['two\nlines', 'two\nlines\r\n\n']);
  });
  test('from a command, which runs in the configuration’s folder and without a shell', async () => {
    await writeFile(path.join(folder, 'here'), '$(id) secret\n');
    expect(await read(command('cat', 'here'))).toEqual(['$(id) secret', '$(id) secret\n']);
  });
});

describe('is refused, without a word of it,', () => {
  const problem = async (source: SecretSource) => {
    const error = await readSecret('s', source, signal).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(NixproofError);
    const { code, message, hint, details, cause } = error as NixproofError;
    expect([code, cause]).toEqual(['CONFIG_SECRET', undefined]);
    expect(JSON.stringify([message, hint, details])).not.toContain('hush');
    return message;
  };

  test.each([
    ['an unset variable', { kind: 'env', name: 'NOT_SET_ANYWHERE' }, /NOT_SET_ANYWHERE is not set/],
    ['a missing file', { kind: 'file', path: '/nonexistent/file' }, /cannot be read from .*ENOENT/],
    ['a device', { kind: 'file', path: '/dev/zero' }, /it is not a file/],
    ['a missing program', { kind: 'command', argv: ['no-such-program'], folder: '/' }, /is not installed/],
    [
      'a command that fails and prints it',
      { kind: 'command', argv: ['sh', '-c', 'echo hush; echo hush >&2; exit 3'], folder: '/' },
      /its command sh ended with exit status 3/,
    ],
  ] as const)('%s', async (_, source, message) => {
    expect(await problem(source)).toMatch(message);
  });

  test('an empty, a short and a long value', async () => {
    expect(await problem(await file('\n\n'))).toContain('is empty');
    expect(await problem(await file('hush!\n'))).toContain('fewer than 6 bytes');
    expect(await problem(await file('hush'.repeat(20_000)))).toContain('more than 16 KiB or 200 lines');
    expect(await problem(await file('a line\n'.repeat(201)))).toContain('more than 16 KiB or 200 lines');
  });
});

test('a worker reads the secrets of a run once, and again after a failure and after the run', async () => {
  const store = createSecretStore();
  const source = await file('');
  const request = { run: 'vm-1', profile: { secrets: { s: source } } as unknown as Profile };
  const value = async () => (await store.of(request, signal)).values.get('s')?.value.toString();
  await expect(value()).rejects.toMatchObject({ code: 'CONFIG_SECRET' });
  await file('the first');
  expect(await value()).toBe('the first');
  await file('the second');
  expect(await value()).toBe('the first');
  store.forget('vm-1');
  expect(await value()).toBe('the second');
});
