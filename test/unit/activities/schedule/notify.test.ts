import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { notifyReceiver } from '../../../../src/activities/schedule/notify.js';
import type { Notification } from '../../../../src/domain/schedule.js';

const work = { signal: new AbortController().signal, progress: () => undefined };
const notification: Notification = {
  key: 'suite-1/vm/broke',
  text: 'nightly: vm broke',
  schedule: 'nightly',
  suite: 'suite-1',
  profile: 'vm',
  verdict: 'failed',
  change: 'broke',
  before: 'passed',
  source: null,
  sourceBefore: null,
};

const got: { method: string | undefined; key: unknown; body: string }[] = [];
const signatures: unknown[] = [];
/** Answers with the status that is the end of its path; a redirection leads to itself. */
const server = createServer((request, response) => {
  let body = '';
  request.setEncoding('utf8').on('data', (part: string) => (body += part));
  request.on('end', () => {
    signatures.push(request.headers['x-nixproof-signature-256']);
    got.push({ method: request.method, key: request.headers['idempotency-key'], body });
    response.writeHead(Number(request.url?.split('/').at(-1)), { location: '/secret/200' }).end('a secret answer');
  });
});
let address: string;
let folder: string;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret`;
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-notify-'));
});
afterAll(async () => {
  server.closeAllConnections();
  server.close();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

const tell = (url: string) => notifyReceiver({ kind: 'webhook', url }, notification, work);

describe('a webhook', () => {
  test('gets its address from a secret of the configuration', async () => {
    const file = path.join(folder, 'secret');
    await writeFile(file, `${address}/200\n`);
    const secret = { kind: 'file', path: file } as const;
    const before = got.length;
    await notifyReceiver({ kind: 'webhook', url: 'secret:chat', secret }, notification, work);
    expect(got).toHaveLength(before + 1);
    const gone = { ...secret, path: `${file}-gone` };
    await expect(
      notifyReceiver({ kind: 'webhook', url: 'secret:chat', secret: gone }, notification, work),
    ).rejects.toMatchObject({ code: 'CONFIG_SECRET' });
  });

  test.each([200, 204])('that answers %i has it', async (status) => {
    got.length = 0;
    await tell(`${address}/${status}`);
    expect(got).toEqual([{ method: 'POST', key: notification.key, body: JSON.stringify(notification) }]);
  });

  test.each([
    [500, 'TRANSPORT_NOTIFY'],
    [503, 'TRANSPORT_NOTIFY'],
    [429, 'TRANSPORT_NOTIFY'],
    [408, 'TRANSPORT_NOTIFY'],
    [302, 'CONFIG_NOTIFY'],
    [404, 'CONFIG_NOTIFY'],
    [410, 'CONFIG_NOTIFY'],
  ])('that answers %i: %s, once, and nothing secret is told', async (status, code) => {
    got.length = 0;
    const error: unknown = await tell(`${address}/${status}`).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code });
    expect(JSON.stringify([error, (error as Error).message])).not.toContain('secret');
    expect(got).toHaveLength(1);
  });

  test('that does not answer', async () => {
    const free = createServer().listen(0, '127.0.0.1');
    await once(free, 'listening');
    const { port } = free.address() as AddressInfo;
    await new Promise((resolve) => free.close(resolve));
    const gone = tell(`http://127.0.0.1:${port}/secret`);
    await expect(gone).rejects.toMatchObject({ code: 'TRANSPORT_NOTIFY' });
    await expect(gone).rejects.not.toThrow('secret');
  });

  test('whose address is in the environment or a file', async () => {
    got.length = 0;
    vi.stubEnv('NIXPROOF_TEST_HOOK', `${address}/200`);
    await tell('env:NIXPROOF_TEST_HOOK');
    const file = path.join(folder, 'address');
    await writeFile(file, `${address}/200\n`);
    await tell(`file:${file}`);
    expect(got).toHaveLength(2);
    vi.stubEnv('NIXPROOF_TEST_HOOK', 'secret: none');
    for (const url of ['env:NIXPROOF_TEST_NONE', 'file:/nowhere/at/all', 'env:NIXPROOF_TEST_HOOK']) {
      const error: unknown = await tell(url).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'CONFIG_NOTIFY' });
      expect((error as Error).message).not.toContain('secret');
      expect((error as Error).message).toContain(url);
    }
  });
});

test.each([
  ['ftp://127.0.0.1/secret', 'is no http or https URL'],
  ['http://127.0.0.1:99999/secret', 'is no http or https URL'],
  ['http://me:secret@127.0.0.1/', 'holds a user or password'],
  ['http://127.0.0.1:6667/secret', "HTTP clients do not connect to the webhook's port (6667)"],
])('an address that no try delivers to is told as such: %s', async (url, text) => {
  const file = path.join(folder, 'wrong-address');
  await writeFile(file, `${url}\n`);
  for (const written of [url, `file:${file}`]) {
    const error: unknown = await tell(written).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'CONFIG_NOTIFY', message: expect.stringContaining(text) as string });
    expect((error as Error).message).not.toContain('secret');
  }
});

describe('a webhook with a key', () => {
  const sum = (key: string | Buffer) =>
    `sha256=${createHmac('sha256', key).update(JSON.stringify(notification)).digest('hex')}`;
  const signed = (key: string) => notifyReceiver({ kind: 'webhook', url: `${address}/200`, key }, notification, work);

  test('is told what is signed with it, from the environment or a file', async () => {
    signatures.length = 0;
    vi.stubEnv('NIXPROOF_TEST_KEY', 'a good key');
    await signed('env:NIXPROOF_TEST_KEY');
    const file = path.join(folder, 'key');
    await writeFile(file, 'another\n');
    await signed(`file:${file}`);
    await tell(`${address}/200`);
    expect(signatures).toEqual([sum('a good key'), sum('another'), undefined]);
  });

  test('that is not text, or begins or ends with blanks, is taken byte by byte', async () => {
    signatures.length = 0;
    const file = path.join(folder, 'binary-key');
    for (const key of [Buffer.from([0xff, 0x00, 0x0a, 0x80, 0x20, 0x20]), Buffer.from('  blanks\t')]) {
      await writeFile(file, Buffer.concat([key, Buffer.from('\r\n')]));
      await signed(`file:${file}`);
      expect(signatures.pop()).toBe(sum(key));
    }
  });

  test.each(['', '\n\n', 'short'])('is told nothing where the key is as short as %j', async (text) => {
    got.length = 0;
    const file = path.join(folder, 'short-key');
    await writeFile(file, text);
    await expect(signed(`file:${file}`)).rejects.toMatchObject({ code: 'CONFIG_NOTIFY' });
    expect(got).toEqual([]);
  });

  test('is told nothing where the key is not there', async () => {
    got.length = 0;
    await expect(signed('env:NIXPROOF_TEST_NONE')).rejects.toMatchObject({ code: 'CONFIG_NOTIFY' });
    expect(got).toEqual([]);
  });
});

describe('a command', () => {
  const run = (command: string) => notifyReceiver({ kind: 'command', command }, notification, work);

  test('has it as JSON on its input', async () => {
    const file = path.join(folder, 'told');
    await run(`cat > ${file}`);
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual(notification);
  });

  test('that fails is tried again, and what it says stays with it', async () => {
    const error: unknown = await run('echo a secret >&2; exit 3').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'TRANSPORT_NOTIFY',
      message: 'the notification command ended with exit status 3',
    });
  });
});
