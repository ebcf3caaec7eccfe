import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectQmp, forwardedPort } from '../../../../src/machines/qemu/qmp.js';

const GREETING = '{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}\r\n';
let folder: string;
let socket: string;
let server: Server | undefined;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-qmp-'));
  socket = path.join(folder, 's');
});
afterEach(async () => {
  server?.close();
  await rm(folder, { recursive: true, force: true });
});

/** Speaks the wire format as recorded from QEMU 7.2; the real one is spoken to in the contract tests. */
async function speak(greeting: string, answer: (command: string, id: number) => string | undefined): Promise<void> {
  server = createServer((client) => {
    client.write(greeting);
    client.on('data', (data) => {
      for (const line of data.toString().trim().split('\n')) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: number };
        const text = execute === 'qmp_capabilities' ? `{"return": {}, "id": ${id}}\r\n` : answer(execute, id);
        if (text === undefined) client.destroy();
        else client.write(text);
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(socket, resolve));
}

describe('the QMP client', () => {
  test('matches answers to commands by id, whatever their order and whatever comes in between', async () => {
    const held: string[] = [];
    await speak(GREETING, (command, id) => {
      held.push(`{"return": "${command}", "id": ${id}}\r\n`);
      return held.length < 2 ? '{"event": "STOP", "timestamp": {}}\r\nnot json\r\n' : held.reverse().join('');
    });
    await using qmp = await connectQmp(socket);
    expect(await Promise.all([qmp.execute('first'), qmp.execute('second')])).toEqual(['first', 'second']);
  });

  test('reports a refused command with QEMU’s own words', async () => {
    await speak(
      GREETING,
      (_, id) => `{"error": {"class": "CommandNotFound", "desc": "no such thing"}, "id": ${id}}\r\n`,
    );
    await using qmp = await connectQmp(socket);
    await expect(qmp.execute('x')).rejects.toMatchObject({
      code: 'MACHINE_QMP',
      message: 'QEMU refused x: no such thing',
      details: { class: 'CommandNotFound' },
    });
  });

  test('ends a command that QEMU did not live to answer', async () => {
    await speak(GREETING, () => undefined);
    await using qmp = await connectQmp(socket);
    await expect(qmp.execute('x')).rejects.toMatchObject({ code: 'MACHINE_QMP', message: 'QEMU went away during x' });
    await qmp.closed;
    await expect(qmp.execute('y')).rejects.toMatchObject({ code: 'MACHINE_QMP' });
  });

  test('does not wait for ever for a greeting', async () => {
    await speak('', () => undefined);
    await expect(connectQmp(socket, 100)).rejects.toMatchObject({ code: 'MACHINE_QMP' });
  });

  test('says where nobody answers', async () => {
    await expect(connectQmp(socket)).rejects.toMatchObject({ code: 'MACHINE_QMP' });
  });
});

describe('the forwarded port', () => {
  const header = 'Hub -1 (net):\r\n  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n';
  test.each([
    [`${header}  TCP[HOST_FORWARD]  16       127.0.0.1 32949       10.0.2.15    22     0     0\r\n`, 32949],
    [`${header}  TCP[ESTABLISHED]   20       127.0.0.1 41000       10.0.2.15    22     0     0\r\n`, undefined],
    [`${header}  TCP[HOST_FORWARD]  16       127.0.0.1  8080       10.0.2.15    80     0     0\r\n`, undefined],
    ['', undefined],
  ])('is found in what QEMU says', (text, port) => {
    expect(forwardedPort(text)).toBe(port);
  });
});
