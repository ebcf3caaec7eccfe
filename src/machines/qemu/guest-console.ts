import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { NixproofError, messageOf } from '../../domain/error.js';
import { acquireLock, withLock } from '../../host/lock.js';
import type { ExecResult, GuestConsole } from '../machine.js';
import {
  ABANDON,
  commandText,
  createLineCutter,
  createWindow,
  type Frame,
  frameIn,
  greetingText,
  INTERRUPT,
  WINDOW_BYTES,
  windowText,
} from './console-frames.js';

const EXEC_MS = 60_000;
/** How long a shell is given to answer before it is asked again, at first and at most: a starved one under emulation needs seconds. */
const GREETING_MS = { first: 500, most: 4000 } as const;
const WINDOW_MS = 5000;
/** How often a window is asked for. */
const FETCHES = 6;
/** What ends a program that does not listen to Ctrl-C: Ctrl-\ (quit) and Ctrl-Z (stop), as termios(3) has them. */
const ROUSERS = ['', '', '\x1c\n', '\x1a\n', ''];

/**
 * A root shell at a terminal of the guest, reached through a socket of this host that serves one client at a time: users wait
 * for each other, within their own deadlines.
 * @param windowMs how many milliseconds a window may bring nothing before it is asked for again
 */
export function guestConsole(socketPath: string, windowMs = WINDOW_MS): GuestConsole {
  const lockFile = `${socketPath}.lock`;
  return {
    async exec(argv, { signal, timeoutMs = EXEC_MS } = {}) {
      const deadline = new AbortController();
      let stage: Stage = 'waiting';
      const late = () => deadline.abort(timeout(stage, argv[0] ?? '', timeoutMs));
      const timer = setTimeout(late, timeoutMs);
      const stop = AbortSignal.any([deadline.signal, ...(signal ? [signal] : [])]);
      try {
        return await withLock(lockFile, { signal: stop }, async () => {
          stage = 'greeting';
          await using line = await openLine(socketPath, windowMs, stop);
          await greet(line);
          stage = 'running';
          return await runCommand(line, argv);
        });
      } finally {
        clearTimeout(timer);
      }
    },

    async attach({ signal, progress }) {
      const onWait = () => progress('another process uses the console: waiting for it');
      const lock = await acquireLock(lockFile, { signal, onWait });
      try {
        const socket = await openSocket(socketPath);
        socket.once('close', () => void lock.release());
        // An exec has turned the echo off.
        socket.write(`${INTERRUPT}stty sane\n`);
        return socket;
      } catch (error) {
        await lock.release();
        throw error;
      }
    },
  };
}

/** Asks until a shell answers, and answers as root. */
async function greet(line: Line): Promise<void> {
  let uid = await shellOf(line);
  if (uid !== 0) {
    line.type('exec sudo -n sh\n');
    uid = await shellOf(line);
  }
  if (uid === 0) return;
  throw new NixproofError('TRANSPORT_AUTH', `the shell on the console is user ${uid}'s and may not become root`, {
    hint: 'let root log in on /dev/hvc0 by itself, or its user use sudo without a password',
  });
}

async function shellOf(line: Line): Promise<number> {
  const mark = newMark();
  for (let attempt = 0; ; attempt++) {
    line.type(`${INTERRUPT}${ROUSERS[attempt % ROUSERS.length] ?? ''}${greetingText(mark)}`);
    const frame = await line.next(mark, Math.min(GREETING_MS.most, GREETING_MS.first * 2 ** attempt));
    if (frame?.kind === 'ready') return frame.uid;
  }
}

async function runCommand(line: Line, argv: readonly string[]): Promise<ExecResult> {
  const mark = newMark();
  line.type(commandText(argv, mark));
  let frame = await line.next(mark);
  while (frame?.kind !== 'status') frame = await line.next(mark);
  const { exitCode, bytes } = frame;
  const parts: Buffer[] = [];
  for (let offset = 0; offset < bytes || offset === 0; offset += WINDOW_BYTES) {
    const size = Math.min(WINDOW_BYTES, bytes - offset);
    const first = offset === 0 ? await receive(line, mark, size) : 'damaged';
    parts.push(first === 'damaged' ? await fetchWindow(line, offset, size) : first);
  }
  return { exitCode, stdout: Buffer.concat(parts).toString('utf8'), stderr: '' };
}

/** Asks for a window until it comes whole. @throws NixproofError `TRANSPORT_GARBLED` */
async function fetchWindow(line: Line, offset: number, size: number): Promise<Buffer> {
  for (let attempt = 0; attempt < FETCHES; attempt++) {
    const mark = newMark();
    line.type(windowText(offset, mark));
    const bytes = await receive(line, mark, size);
    if (bytes !== 'damaged') return bytes;
  }
  throw new NixproofError('TRANSPORT_GARBLED', 'what a command printed did not come whole over the console', {
    hint: 'something else writes to the console all the time: end that, and run the command again',
  });
}

/** A window that was asked for; one that stops coming is as damaged as one that comes with holes. */
async function receive(line: Line, mark: string, size: number): Promise<Buffer | 'damaged'> {
  const window = createWindow(size);
  for (;;) {
    const frame = await line.next(mark, line.windowMs);
    if (!frame) return 'damaged';
    const bytes = window.take(frame);
    if (bytes !== undefined) return bytes;
  }
}

function newMark(): string {
  return randomBytes(16).toString('hex');
}

/** The open console: what is typed, and the frames that come. Closing it gives up what still runs. */
interface Line extends AsyncDisposable {
  /** How many milliseconds a window may bring nothing before it is asked for again. */
  readonly windowMs: number;
  type(text: string): void;
  /** The next frame of a mark; undefined where none came in time. @throws the signal's reason, `TRANSPORT_LOST` */
  next(mark: string, withinMs?: number): Promise<Frame | undefined>;
}

async function openLine(socketPath: string, windowMs: number, signal: AbortSignal): Promise<Line> {
  signal.throwIfAborted();
  const socket = await openSocket(socketPath);
  const cut = createLineCutter();
  const lines: string[] = [];
  let wake: () => void = () => undefined;
  const awaken = () => wake();
  socket.on('data', (chunk) => {
    lines.push(...cut(chunk));
    awaken();
  });
  socket.once('close', awaken);
  signal.addEventListener('abort', awaken, { once: true });
  const something = (withinMs: number | undefined) =>
    new Promise<void>((resolve) => {
      const timer = withinMs === undefined ? undefined : setTimeout(resolve, withinMs);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });

  return {
    windowMs,
    type: (text) => void socket.write(text),
    async next(mark, withinMs) {
      const end = performance.now() + (withinMs ?? 0);
      for (;;) {
        for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
          const frame = frameIn(line, mark);
          if (frame) return frame;
        }
        signal.throwIfAborted();
        if (socket.destroyed) throw new NixproofError('TRANSPORT_LOST', 'the console was closed');
        const left = withinMs === undefined ? undefined : end - performance.now();
        if (left !== undefined && left <= 0) return undefined;
        await something(left);
      }
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener('abort', awaken);
      if (socket.destroyed) return;
      // Where the command has ended only its output is left to be removed.
      await new Promise<void>((resolve) => {
        socket.once('close', () => resolve());
        socket.end(ABANDON, () => socket.destroy());
        setTimeout(() => socket.destroy(), 1000).unref();
      });
    },
  };
}

async function openSocket(socketPath: string): Promise<Socket> {
  const socket = connect(socketPath);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (cause) =>
      reject(
        new NixproofError('TRANSPORT_REFUSED', `the console cannot be opened: ${messageOf(cause)}`, {
          hint: 'does the machine still run? see `nixproof vm list`',
          cause,
        }),
      ),
    );
  });
  // What goes wrong from here on shows as its end.
  socket.removeAllListeners('error').on('error', () => undefined);
  return socket;
}

/** How far an exec has come: what it is that took too long. */
type Stage = 'waiting' | 'greeting' | 'running';

function timeout(stage: Stage, command: string, timeoutMs: number): NixproofError {
  const within = `within ${timeoutMs / 1000} s`;
  switch (stage) {
    case 'waiting':
      return new NixproofError('TRANSPORT_TIMEOUT', `the console was in use and did not become free ${within}`, {
        hint: 'leave `nixproof vm console` with Ctrl-], or give the command more time',
      });
    case 'greeting':
      return new NixproofError('TRANSPORT_TIMEOUT', `no shell answered on the console ${within}`, {
        hint: 'the system needs a root shell on /dev/hvc0 that asks for no login, or a getty there that logs in by itself',
      });
    case 'running':
      return new NixproofError('TRANSPORT_TIMEOUT', `${command} did not end ${within}`);
  }
}
