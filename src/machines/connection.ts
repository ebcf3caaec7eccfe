import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { Client, type ClientChannel } from 'ssh2';
import { hasCode, messageOf, NixproofError } from '../domain/error.js';
import { passFence } from '../host/fence.js';
import type { Connection, Endpoint, ExecOptions, ExecResult } from './machine.js';
import { quote } from './quote.js';

export interface ConnectOptions {
  readonly signal?: AbortSignal;
  /** For the handshake; default 20 seconds. */
  readonly timeoutMs?: number;
  /** Called with the presented key where the endpoint pins none, before the login goes on: the moment to pin it. */
  readonly onHostKey?: (hostKey: string) => Promise<void>;
}

const HANDSHAKE_MS = 20_000;
/** A dead peer is noticed after three unanswered probes: half a minute, which a starved guest survives. */
const KEEPALIVE = { keepaliveInterval: 10_000, keepaliveCountMax: 3 };
const EXEC_MS = 60_000;
const MAX_OUTPUT_BYTES = 1 << 20;
/**
 * Time for the exit status to arrive behind an end mark. Some servers hold it back while a child
 * keeps the streams open.
 */
const EXIT_AFTER_MARK_MS = 1000;
/** Maximum kept of the text between an end mark and its NUL. A hostile guest may never send one. */
const MAX_PARTING_BYTES = 64 * 1024;
const SIGNAL_NUMBERS: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  ABRT: 6,
  KILL: 9,
  SEGV: 11,
  PIPE: 13,
  TERM: 15,
};

/** A host key in known_hosts' form, `type base64`, from its wire format (RFC 4253, 6.6: the type's name comes first). */
export function hostKeyText(wire: Buffer): string {
  const length = wire.readUInt32BE(0);
  return `${wire.toString('latin1', 4, 4 + length)} ${wire.toString('base64')}`;
}

/**
 * Opens an SSH connection.
 * @throws NixproofError `TRANSPORT_REFUSED`, `TRANSPORT_TIMEOUT`, `TRANSPORT_AUTH`, `TRANSPORT_HOST_KEY` (a key other than
 * the pinned one), `TRANSPORT_LOST`
 */
export async function openConnection(endpoint: Endpoint, options: ConnectOptions = {}): Promise<Connection> {
  options.signal?.throwIfAborted();
  const privateKey = await readFile(endpoint.keyFile);
  const client = new Client();
  let wrongKey: string | undefined;
  const verify = (wire: Buffer, answer: (ok: boolean) => void) => {
    const presented = hostKeyText(wire);
    if (endpoint.hostKey === undefined) {
      Promise.resolve(options.onHostKey?.(presented)).then(
        () => answer(true),
        () => answer(false),
      );
    } else {
      if (presented !== endpoint.hostKey) wrongKey = presented;
      answer(presented === endpoint.hostKey);
    }
  };
  await new Promise<void>((resolve, reject) => {
    const abort = () => client.destroy();
    const settle = (error?: Error) => {
      options.signal?.removeEventListener('abort', abort);
      if (!error) {
        resolve();
        return;
      }
      client.destroy();
      reject(options.signal?.aborted ? (options.signal.reason as Error) : connectError(endpoint, error, wrongKey));
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    client
      .once('ready', () => settle())
      .on('error', settle)
      .once('close', () => settle(new Error('the connection was closed during the handshake')))
      .connect({
        host: endpoint.host,
        port: endpoint.port,
        username: endpoint.user,
        privateKey,
        readyTimeout: options.timeoutMs ?? HANDSHAKE_MS,
        hostVerifier: verify,
        ...KEEPALIVE,
      });
  });
  return connectionOver(client, endpoint);
}

function connectError(endpoint: Endpoint, error: Error, wrongKey: string | undefined): NixproofError {
  const where = `${endpoint.user}@${endpoint.host}:${endpoint.port}`;
  const level = (error as { level?: string }).level;
  if (wrongKey !== undefined) {
    return new NixproofError('TRANSPORT_HOST_KEY', `${where} presented a host key that is not the pinned one`, {
      hint: 'another machine answers at this address; if the change is yours, remove the machine and run the test again',
      details: { presented: wrongKey, pinned: endpoint.hostKey ?? null },
    });
  }
  if (level === 'client-authentication') {
    return new NixproofError('TRANSPORT_AUTH', `${where} refused the key ${endpoint.keyFile}`, {
      hint: 'check that the system authorises this key for this user',
      cause: error,
    });
  }
  const timedOut = level === 'client-timeout' || (error as NodeJS.ErrnoException).code === 'ETIMEDOUT';
  return new NixproofError(
    timedOut ? 'TRANSPORT_TIMEOUT' : 'TRANSPORT_REFUSED',
    `no SSH connection to ${where}: ${messageOf(error)}`,
    { cause: error },
  );
}

function connectionOver(client: Client, endpoint: Endpoint): Connection {
  let lost = false;
  client.on('close', () => (lost = true));
  const lostError = (cause?: unknown) =>
    new NixproofError('TRANSPORT_LOST', `the SSH connection to ${endpoint.host}:${endpoint.port} was lost`, { cause });

  const open = (argv: readonly string[]) =>
    new Promise<ClientChannel>((resolve, reject) => {
      if (lost) {
        reject(lostError());
        return;
      }
      const gone = () => reject(lostError());
      client.once('close', gone);
      client.exec(quote(argv), (error, channel) => {
        client.off('close', gone);
        if (error) reject(lostError(error));
        else resolve(channel);
      });
    });

  return {
    get isOpen() {
      return !lost;
    },
    async exec(argv, options = {}) {
      options.signal?.throwIfAborted();
      await passFence();
      return execOn(await open(argv), argv, options, lostError);
    },
    async stream(argv, { signal } = {}) {
      signal?.throwIfAborted();
      await passFence();
      return streamOf(await open(argv), signal, lostError);
    },
    async [Symbol.asyncDispose]() {
      if (lost) return;
      const closed = new Promise<void>((resolve) => client.once('close', () => resolve()));
      client.end();
      const impatient = setTimeout(() => cutOff(client), 1000);
      await closed;
      clearTimeout(impatient);
    },
  };
}

/**
 * Closes a connection whose other side does not answer the goodbye, as over an unplugged cable. ssh2's own `destroy` does nothing
 * any more once `end` was called.
 */
function cutOff(client: Client): void {
  (client as unknown as { readonly _sock?: Socket })._sock?.destroy();
}

/** Ends a remote command: SSH has no kill, so the signal is asked for and the channel closed. */
function abandon(channel: ClientChannel): void {
  channel.signal('TERM');
  channel.close();
}

async function execOn(
  channel: ClientChannel,
  argv: readonly string[],
  options: ExecOptions,
  lostError: (cause?: unknown) => NixproofError,
): Promise<ExecResult> {
  const { timeoutMs = EXEC_MS, maxBytes = MAX_OUTPUT_BYTES, endMark } = options;
  let exit: number | undefined;
  let marked = 0;
  let onMarked: () => void = () => undefined;
  const mark = endMark === undefined ? undefined : { text: endMark, onEnd: () => (marked += 1) === 2 && onMarked() };
  const stdout = keepHead(channel, maxBytes, mark);
  const stderr = keepHead(channel.stderr, maxBytes, mark);
  await new Promise<void>((resolve, reject) => {
    const giveUp = (error: Error) => {
      abandon(channel);
      finish(error);
    };
    const timer = setTimeout(
      () => giveUp(new NixproofError('TRANSPORT_TIMEOUT', `${argv[0] ?? ''} did not end within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    const abort = () => giveUp(options.signal?.reason as Error);
    options.signal?.addEventListener('abort', abort, { once: true });
    const finish = (error?: Error) => {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
      if (error) reject(error);
      else resolve();
    };
    const leave = () => {
      channel.close();
      finish();
    };
    onMarked = () => {
      // The command itself is about to end: a channel that is closed before may take its children
      // along.
      if (exit !== undefined) leave();
      else channel.once('exit', leave).once('close', () => clearTimeout(impatient));
      const impatient = setTimeout(leave, EXIT_AFTER_MARK_MS);
    };
    channel.once('exit', (...ending: Ending) => (exit ??= exitCodeOf(ending)));
    channel.once('close', (...ending: Ending) => {
      exit ??= exitCodeOf(ending);
      finish(exit === undefined && marked < 2 ? lostError() : undefined);
    });
    channel.once('error', (error: Error) => finish(lostError(error)));
    feed(channel, options.input, giveUp);
  });
  const { parting } = stdout;
  return {
    exitCode: exit ?? 255,
    stdout: stdout.text(),
    stderr: stderr.text(),
    ...(marked < 2 || parting === undefined ? {} : { parting }),
  };
}

/**
 * What ssh2 tells with 'close' of how the command ended: nothing where the connection did. Its 'exit' may come before anybody
 * can listen, in one packet with the answer that the command was started.
 */
type Ending = [code?: number | null, signal?: string];

function exitCodeOf([code, signal = '']: Ending): number | undefined {
  return code === null ? 128 + (SIGNAL_NUMBERS[signal.replace(/^SIG/, '')] ?? 0) : code;
}

function feed(channel: ClientChannel, input: ExecOptions['input'], fail: (error: Error) => void): void {
  if (input instanceof Readable) {
    // The command may end before it has read everything: that is for its exit status to say.
    input.once('error', fail);
    channel.once('close', () => input.destroy());
    input.pipe(channel);
  } else {
    channel.end(input);
  }
}

/** What ends a stream's output, and what to do once it and its NUL are here. */
interface EndMark {
  readonly text: string;
  readonly onEnd: () => void;
}

/** What is kept of a stream. */
interface Head {
  /** To be asked once, at the end. */
  text(): string;
  /** What stood behind the mark. */
  readonly parting: string | undefined;
}

/**
 * Keeps the first bytes of a stream, those before the mark where there is one. What comes behind
 * the mark's NUL is dropped.
 */
function keepHead(stream: Readable, maxBytes: number, mark?: EndMark): Head {
  const chunks: Buffer[] = [];
  let kept = 0;
  const keep = (bytes: Buffer) => {
    const head = bytes.subarray(0, maxBytes - kept);
    if (head.length > 0) chunks.push(head);
    kept += head.length;
  };
  if (mark === undefined) {
    stream.on('data', keep);
    return { text: () => Buffer.concat(chunks).toString('utf8'), parting: undefined };
  }
  let held = Buffer.alloc(0);
  let stage: 'before' | 'behind' | 'done' = 'before';
  stream.on('data', (chunk: Buffer) => {
    if (stage === 'done') return;
    held = Buffer.concat([held, chunk]);
    if (stage === 'before') {
      const at = held.indexOf(mark.text);
      // The mark may come in two pieces.
      const sure = at < 0 ? Math.max(0, held.length - mark.text.length + 1) : at;
      keep(held.subarray(0, sure));
      held = held.subarray(at < 0 ? sure : at + mark.text.length);
      if (at >= 0) stage = 'behind';
    }
    if (stage === 'before') return;
    const nul = held.indexOf(0);
    held = held.subarray(0, nul < 0 ? MAX_PARTING_BYTES : Math.min(nul, MAX_PARTING_BYTES));
    if (nul < 0) return;
    stage = 'done';
    mark.onEnd();
  });
  return {
    text() {
      // Without a mark what was held back is output as well.
      if (stage === 'before') keep(held);
      return Buffer.concat(chunks).toString('utf8');
    },
    get parting() {
      return stage === 'done' ? held.toString('utf8') : undefined;
    },
  };
}

function streamOf(
  channel: ClientChannel,
  signal: AbortSignal | undefined,
  lostError: (cause?: unknown) => NixproofError,
): Readable {
  const out = new PassThrough({ highWaterMark: 256 * 1024 });
  let exited = false;
  const seen = new Set<'end' | 'close'>();
  // 'close' may overtake data that back-pressure holds: only both together mean that everything was read.
  const settle = (which: 'end' | 'close') => {
    if (seen.add(which).size < 2) return;
    if (exited) out.end();
    else out.destroy(lostError());
  };
  channel.stderr.resume();
  channel.on('exit', () => (exited = true));
  channel.pipe(out, { end: false });
  channel.once('end', () => settle('end'));
  channel.once('close', (...ending: Ending) => {
    exited ||= exitCodeOf(ending) !== undefined;
    settle('close');
  });
  channel.once('error', (error: Error) => out.destroy(lostError(error)));
  const abort = () => out.destroy(signal?.reason as Error);
  signal?.addEventListener('abort', abort, { once: true });
  out.once('close', () => {
    signal?.removeEventListener('abort', abort);
    if (!exited) abandon(channel);
  });
  return out;
}

/**
 * Tries to connect until it works or the deadline passes. A wrong host key ends it at once; so does `isAlive` saying no.
 * @throws NixproofError the last connection's error, `MACHINE_GONE` where `isAlive` said no
 */
export async function waitForConnection(
  endpoint: Endpoint,
  options: ConnectOptions & {
    readonly deadlineMs: number;
    readonly isAlive?: () => Promise<boolean>;
    /** Told every few seconds while it waits. */
    readonly progress?: (message: string) => void;
    /** Called each time the server answers and refuses the key, before the next attempt. */
    readonly onRefused?: () => Promise<void>;
  },
): Promise<Connection> {
  const started = performance.now();
  for (let lastTold = started; ;) {
    try {
      return await openConnection(endpoint, options);
    } catch (error) {
      options.signal?.throwIfAborted();
      const final = hasCode(error, 'TRANSPORT_HOST_KEY');
      const now = performance.now();
      if (final || now - started >= options.deadlineMs) throw error;
      if (options.isAlive && !(await options.isAlive())) {
        throw new NixproofError('MACHINE_GONE', 'the machine stopped before it answered SSH', { cause: error });
      }
      if (now - lastTold > 2000) {
        options.progress?.(`waiting for SSH (${Math.round((now - started) / 1000)} s)`);
        lastTold = now;
      }
      if (hasCode(error, 'TRANSPORT_AUTH')) await options.onRefused?.();
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}
