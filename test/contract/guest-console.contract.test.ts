import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { identify, waitUntil } from '../../src/host/process.js';
import type { GuestConsole } from '../../src/machines/machine.js';
import { guestConsole } from '../../src/machines/qemu/guest-console.js';

/** Shells that a guest's console may have, each on a real terminal. */
const SHELLS = { dash: 'dash', bash: 'bash --norc' } as const;

/** A terminal behind a socket that serves one client at a time, as QEMU's does; what nobody reads is dropped. */
interface Terminal {
  readonly console: GuestConsole;
  readonly socket: string;
  /** Types as somebody else who uses the console. */
  type(text: string): void;
  /** Decides which of the frames that carry output get lost on their way to the client. */
  lose(isLost: (count: number) => boolean): void;
  /** What the terminal has shown so far. */
  shown(): string;
  close(): Promise<void>;
}

/** A mark, a number, a length, and output of that length. */
const FRAME = /[\da-f]{32} \d+ \d+ [A-Za-z\d+/=]+/g;

let folder: string;
let terminal: Terminal | undefined;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-console-'));
});
afterEach(async () => {
  await terminal?.close();
  terminal = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function openTerminal(command: string): Promise<Terminal> {
  const socket = path.join(folder, 'console');
  // Node has no pseudo-terminals: script(1) makes one.
  const shell: ChildProcessWithoutNullStreams = spawn('script', ['-qfc', command, '/dev/null'], {
    env: { PATH: process.env['PATH'] ?? '', TERM: 'dumb', HOME: folder, PS1: '# ', NIXPROOF_TEST_CONSOLE: folder },
    detached: true,
  });
  let text = '';
  let client: Socket | undefined;
  let frames = 0;
  let isLost: (count: number) => boolean = () => false;
  shell.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    const arrives = chunk.toString('latin1').replace(FRAME, (frame) => (isLost(frames++) ? '' : frame));
    client?.write(arrives, 'latin1');
  });
  const waiting: Socket[] = [];
  const serve = () => {
    client = waiting.shift();
    client?.on('data', (chunk) => shell.stdin.write(chunk));
    client?.on('error', () => undefined).once('close', serve);
  };
  const server: Server = createServer({ pauseOnConnect: false }, (next) => {
    waiting.push(next);
    if (!client || client.destroyed) serve();
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    console: guestConsole(socket),
    socket,
    type: (typed) => void shell.stdin.write(typed),
    lose: (decide) => (isLost = decide),
    shown: () => text,
    async close() {
      shell.kill('SIGKILL');
      for (const each of [client, ...waiting]) each?.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A shell that is only starting dies of a Ctrl-C; a guest's has been waiting since its boot. */
async function open(command: string, prompt = '# '): Promise<Terminal> {
  const opened = await openTerminal(command);
  terminal = opened;
  expect(await waitUntil(async () => opened.shown().includes(prompt), 20_000)).toBe(true);
  return opened;
}

describe.each(Object.entries(SHELLS))('a console with %s', { timeout: 30_000 }, (_name, command) => {
  test('runs commands one after the other, with their exit statuses and both outputs', async () => {
    const { console } = await open(command);
    expect(await console.exec(['sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
      exitCode: 7,
      stdout: 'out\nerr\n',
      stderr: '',
    });
    expect(await console.exec(['true'])).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect(await console.exec(['sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: 137 });
    expect(await console.exec(['exit', '5'])).toMatchObject({ exitCode: 5 });
    expect(await console.exec(['no-such-command'])).toMatchObject({
      exitCode: 127,
      stdout: expect.stringContaining('not found') as string,
    });
  });

  test('arguments arrive as they were given, long ones too', async () => {
    const { console } = await open(command);
    const words = ['', ' ', "it's", '"', '$HOME', '`id`', 'a\nb', '*', '\\', '-n', 'é→', '\x03', 'x'.repeat(20_000)];
    const { stdout } = await console.exec(['sh', '-c', 'for word; do printf "%s|" "$word"; done', 'sh', ...words]);
    expect(stdout.split('|').slice(0, -1)).toEqual(words);
  });

  test('hostile output is output', async () => {
    const { console } = await open(command);
    const hostile = [
      '0123456789abcdef0123456789abcdef status 0',
      '# 0123456789abcdef0123456789abcdef end 0',
      '\x03\x04\x1a\x1c\x00\r\n\x1b[2J\x1b]0;x\x07',
      "'; exit 3 #",
      'no newline at the end',
    ].join('\n');
    expect((await console.exec(['printf', '%b', hostile.replaceAll('\x00', '\\0000')])).stdout).toBe(hostile);
    // All that the shell itself knows of the mark.
    const marks =
      'tr "\\0" "\\n" </proc/$PPID/cmdline; cat /proc/*/cmdline | tr "\\0" "\\n" | grep " status " || echo none';
    expect(await console.exec(['sh', '-c', marks])).toMatchObject({ exitCode: 0 });
  });

  test('big output comes whole, and what is beyond the limit is dropped while the command goes on', async () => {
    const { console } = await open(command);
    const script = 'head -c 3000000 /dev/zero | tr "\\0" x; exit 4';
    const { exitCode, stdout } = await console.exec(['sh', '-c', script]);
    expect(exitCode).toBe(4);
    expect(stdout).toBe('x'.repeat(1 << 20));
  });

  test('what is lost on the way is asked for again', async () => {
    const opened = await open(command);
    // Some of the output never comes, as where the reader was late.
    opened.lose((count) => [3, 20, 21, 40].includes(count));
    const { exitCode, stdout } = await opened.console.exec(['sh', '-c', 'seq 30000; exit 3'], { timeoutMs: 50_000 });
    expect(exitCode).toBe(3);
    expect(stdout).toBe(Array.from({ length: 30_000 }, (_, index) => `${index + 1}\n`).join(''));
  });

  test('what is lost again and again is given up', async () => {
    const opened = await open(command);
    opened.lose(() => true);
    const impatient = guestConsole(opened.socket, 300);
    await expect(impatient.exec(['sh', '-c', 'seq 3000'])).rejects.toMatchObject({ code: 'TRANSPORT_GARBLED' });
  });

  test('a command that takes too long is given up and ended, and the next one runs', async () => {
    const { console } = await open(command);
    const file = path.join(folder, 'pid');
    const stubborn = 'trap "" INT QUIT TERM TSTP; echo $$ >"$1"; while :; do sleep 0.1; echo noise; done';
    await expect(console.exec(['sh', '-c', stubborn, 'sh', file], { timeoutMs: 4000 })).rejects.toMatchObject({
      code: 'TRANSPORT_TIMEOUT',
      message: 'sh did not end within 4 s',
    });
    const { stdout } = await console.exec(['cat', file]);
    expect(await waitUntil(async () => (await identify(Number(stdout))) === undefined, 10_000)).toBe(true);
  });

  test('a signal ends it with its reason', async () => {
    const { console } = await open(command);
    const abort = new AbortController();
    const running = console.exec(['sleep', '600'], { signal: abort.signal });
    const isReady = async () => / ready \d/.test(terminal?.shown() ?? '');
    expect(await waitUntil(isReady, 20_000)).toBe(true);
    abort.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
    expect((await console.exec(['echo', 'next'])).stdout).toBe('next\n');
  });

  test.each([
    ['a busy shell', 'sleep 600\n'],
    ['a program that ignores Ctrl-C', 'sh -c \'trap "" INT; while :; do sleep 1; done\'\n'],
    ['half a line', 'echo "half'],
    ['half a command', "np_script=$np_script'AAAA"],
    ['an open here-document', 'cat <<END\nsome\n'],
    ['an end of input that waits', 'cat\n'],
  ])('it copes with %s that somebody left behind', async (_what, typed) => {
    const opened = await open(command);
    const { console } = opened;
    opened.type(typed);
    expect((await console.exec(['echo', 'here'], { timeoutMs: 30_000 })).stdout).toBe('here\n');
  });

  test('two users wait for each other', async () => {
    const { console, socket } = await open(command);
    const other = guestConsole(socket);
    const results = await Promise.all(
      [console, other, console].map((user, index) => user.exec(['sh', '-c', `echo ${index}; sleep 0.2`])),
    );
    expect(results.map(({ stdout }) => stdout)).toEqual(['0\n', '1\n', '2\n']);
  });

  test('a person has the terminal to themselves, and leaves it usable', async () => {
    const { console } = await open(command);
    await console.exec(['true']);
    const work = { signal: new AbortController().signal, progress: () => undefined };
    const stream = await console.attach?.(work);
    let seen = '';
    stream?.on('data', (chunk: Buffer) => (seen += chunk.toString()));
    stream?.write('echo "by $((40 + 2))" hand\n');
    expect(await waitUntil(async () => seen.includes('by 42 hand'), 20_000)).toBe(true);
    // By now the echo is on again.
    stream?.write('echo $((20 + 3))\n');
    expect(await waitUntil(async () => /echo \$\(\(20 \+ 3\)\)\s+23/.test(seen), 20_000)).toBe(true);
    await expect(console.exec(['true'], { timeoutMs: 500 })).rejects.toMatchObject({
      code: 'TRANSPORT_TIMEOUT',
      message: 'the console was in use and did not become free within 0.5 s',
    });
    stream?.destroy();
    expect((await console.exec(['echo', 'next'])).stdout).toBe('next\n');
  });
});

test('a login prompt is no shell: the timeout says what is needed', async () => {
  const { console } = await open(`sh -c 'while :; do printf "login: "; read -r name; done'`, 'login: ');
  await expect(console.exec(['true'], { timeoutMs: 3000 })).rejects.toMatchObject({
    code: 'TRANSPORT_TIMEOUT',
    message: 'no shell answered on the console within 3 s',
    hint: 'the system needs a root shell on /dev/hvc0 that asks for no login, or a getty there that logs in by itself',
  });
});

test('a console that is not there refuses', async () => {
  await expect(guestConsole(path.join(folder, 'none')).exec(['true'])).rejects.toMatchObject({
    code: 'TRANSPORT_REFUSED',
    message: expect.stringMatching(/^the console cannot be opened: connect ENOENT /) as string,
  });
});
