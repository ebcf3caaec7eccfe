import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ssh2 from 'ssh2';
import { expect, onTestFinished, test } from 'vitest';
import { openConnection } from '../../../src/machines/connection.js';
import { keyPairAt } from '../../../src/machines/keys.js';

/** The kernel holds small packets back until the one before is acknowledged, which it does after 40 ms at the latest. */
const DELAYED_ACK_MS = 150;

/** A server whose commands have ended, with their exit status told, before their start is answered. */
async function hastyServer(hostKey: string): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [await readFile(hostKey)] }, (client) => {
    client.on('error', () => client.end());
    client.on('authentication', (context) => context.accept());
    client.on('session', (accept) => {
      accept().on('exec', (start, _reject, { command }) => {
        const channel = start();
        channel.write(command);
        if (command === 'killed') channel.exit('KILL', false, '');
        else channel.exit(3);
        channel.end();
        // Nobody reads meanwhile, for client and server are one process: what was written arrives as one piece.
        const until = performance.now() + DELAYED_ACK_MS;
        while (performance.now() < until);
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('a command that ends at once is not taken for a lost connection', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-connection-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { keyFile } = await keyPairAt(path.join(folder, 'key'), 'test');
  const port = await hastyServer(keyFile);
  await using connection = await openConnection({ host: '127.0.0.1', port, user: 'root', keyFile, hostKey: undefined });
  for (let count = 0; count < 3; count++) {
    expect(await connection.exec(['ended'])).toEqual({ exitCode: 3, stdout: 'ended', stderr: '' });
    expect(await connection.exec(['killed'])).toEqual({ exitCode: 137, stdout: 'killed', stderr: '' });
    const stream = await connection.stream(['streamed']);
    expect(Buffer.concat(await stream.toArray()).toString()).toBe('streamed');
  }
});

/** A server whose commands print an end mark, and behind it more than anybody wants to know. */
async function talkativeServer(hostKey: string, behind: string): Promise<number> {
  const server = new ssh2.Server({ hostKeys: [await readFile(hostKey)] }, (client) => {
    client.on('error', () => client.end());
    client.on('authentication', (context) => context.accept());
    client.on('session', (accept) => {
      accept().on('exec', (start) => {
        const channel = start();
        channel.write(`output\0mark${behind}\0`);
        channel.stderr.write('\0mark\0');
        channel.exit(0);
        channel.end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

test('what comes behind an end mark is kept up to a limit', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-connection-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { keyFile } = await keyPairAt(path.join(folder, 'key'), 'test');
  const port = await talkativeServer(keyFile, 'x'.repeat(1024 * 1024));
  await using connection = await openConnection({ host: '127.0.0.1', port, user: 'root', keyFile, hostKey: undefined });
  expect(await connection.exec(['anything'], { endMark: '\0mark' })).toEqual({
    exitCode: 0,
    stdout: 'output',
    stderr: '',
    parting: 'x'.repeat(64 * 1024),
  });
});

test('closing a connection whose other side has fallen silent does not wait for it', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-connection-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { keyFile } = await keyPairAt(path.join(folder, 'key'), 'test');
  const server = await hastyServer(keyFile);
  const ends: Socket[] = [];
  const cable = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect(server, '127.0.0.1');
    ends.push(near, far);
    near.pipe(far, { end: false }).pipe(near, { end: false });
  });
  await new Promise<void>((resolve) => cable.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const end of ends) end.destroy();
    cable.close();
  });
  const { port } = cable.address() as AddressInfo;
  const connection = await openConnection({ host: '127.0.0.1', port, user: 'root', keyFile, hostKey: undefined });
  for (const end of ends) end.unpipe().pause();
  await connection[Symbol.asyncDispose]();
  expect(connection.isOpen).toBe(false);
});
