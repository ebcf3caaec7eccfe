import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2, { type ParsedKey } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { openConnection } from '../../src/machines/connection.js';
import type { Endpoint, Machine, Work } from '../../src/machines/machine.js';
import { createSandboxDriver } from '../../src/machines/sandbox/driver.js';

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
const shape = { memoryMiB: 64, cpus: 1, diskBytes: [], firmware: 'uefi' } as const;
let layout: Layout;
let machine: Machine;
let other: Machine;

beforeAll(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-login-')));
  const driver = createSandboxDriver({ layout });
  machine = await driver.create({ id: 'one', base: undefined, shape }, work);
  other = await driver.create({ id: 'other', base: undefined, shape }, work);
});

afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
  await rm(layout.home, { recursive: true, force: true });
});

/** What a client claims: the name of the key's algorithm, and what it signs with. */
interface Claim {
  readonly type: string;
  readonly sign: (key: ParsedKey, data: Buffer) => Buffer;
}

/** A client that has a private key, and may lie about it or not use it. */
async function logIn({ host, port, user }: Endpoint, key: ParsedKey, { type, sign }: Claim): Promise<'in' | 'refused'> {
  class Forger extends ssh2.BaseAgent {
    getIdentities(give: (error: Error | undefined, keys: ParsedKey[]) => void): void {
      give(undefined, [Object.create(key, { type: { value: type } }) as ParsedKey]);
    }
    override sign(_: unknown, data: Buffer, options: unknown, give?: unknown): void {
      const callback = (give ?? options) as (error: undefined, signature: Buffer) => void;
      callback(undefined, sign(key, data));
    }
  }
  const client = new ssh2.Client();
  try {
    return await new Promise((resolve) => {
      client
        .once('ready', () => resolve('in'))
        .once('error', () => resolve('refused'))
        .once('close', () => resolve('refused'))
        .connect({ host, port, username: user, agent: new Forger(), authHandler: ['agent'] });
    });
  } finally {
    client.destroy();
  }
}

async function keyOf({ keyFile }: Endpoint): Promise<ParsedKey> {
  const key = ssh2.utils.parseKey(await readFile(keyFile));
  if (key instanceof Error) throw key;
  return key;
}

const honest = (key: ParsedKey, data: Buffer) => key.sign(data);
const junk = () => randomBytes(64);

describe('a login to a sandbox', () => {
  test('is granted to who signs with its key', async () => {
    const endpoint = await machine.endpoint();
    expect(await logIn(endpoint, await keyOf(endpoint), { type: 'ssh-ed25519', sign: honest })).toBe('in');
  });

  test.each([
    ['64 bytes of junk', { type: 'ssh-ed25519', sign: junk }],
    ['an empty signature', { type: 'ssh-ed25519', sign: () => Buffer.alloc(0) }],
    ['junk, as an RSA key', { type: 'ssh-rsa', sign: junk }],
    ['junk, as a DSA key', { type: 'ssh-dss', sign: () => randomBytes(40) }],
    ['junk, as an ECDSA key', { type: 'ecdsa-sha2-nistp256', sign: junk }],
    ['junk, as an unknown kind of key', { type: 'ssh-none', sign: junk }],
    ['an honest signature, as an RSA key', { type: 'ssh-rsa', sign: honest }],
    [
      'a signature of other data',
      { type: 'ssh-ed25519', sign: (key: ParsedKey) => key.sign(Buffer.from('something else')) },
    ],
  ] satisfies [string, Claim][])('is refused to one with %s', async (_, claim) => {
    const endpoint = await machine.endpoint();
    expect(await logIn(endpoint, await keyOf(endpoint), claim)).toBe('refused');
  });

  test('is refused to who has the key of another sandbox', async () => {
    const [mine, theirs] = [await machine.endpoint(), await other.endpoint()];
    expect(mine.keyFile).not.toBe(theirs.keyFile);
    await expect(openConnection({ ...mine, keyFile: theirs.keyFile })).rejects.toMatchObject({
      code: 'TRANSPORT_AUTH',
    });
  });
});
