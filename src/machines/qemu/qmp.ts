import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { NixproofError, messageOf } from '../../domain/error.js';

/** A conversation with one QEMU (the QEMU Machine Protocol, qemu.org: interop/qmp-spec). */
export interface Qmp extends AsyncDisposable {
  /** @throws NixproofError `MACHINE_QMP` where QEMU refuses the command, or goes away before it answers */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** A command of the human monitor, for the few things that QMP lacks; gives its text. */
  human(commandLine: string): Promise<string>;
  /** Resolves when QEMU tells the event the next time (QEMU QMP Reference Manual: RESET, SHUTDOWN …). */
  next(event: string): Promise<void>;
  /** Resolves when QEMU has closed the connection: it quit. */
  readonly closed: Promise<void>;
}

interface Reply {
  readonly id?: number;
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly QMP?: unknown;
  readonly event?: string;
}

interface Pending {
  readonly command: string;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

const GREETING_MS = 10_000;

/**
 * Opens the conversation: waits for QEMU's greeting and leaves the negotiation mode. QEMU talks to one client at a time; a
 * second one waits for its greeting.
 * @throws NixproofError `MACHINE_QMP`
 */
export async function connectQmp(socketPath: string, timeoutMs = GREETING_MS): Promise<Qmp> {
  const socket = await connected(socketPath);
  const pending = new Map<number, Pending>();
  const awaited = new Map<string, () => void>();
  let lastId = 0;
  let greeted: () => void;
  const greeting = new Promise<void>((resolve) => (greeted = resolve));
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  void closed.then(() => {
    for (const { command, reject } of pending.values()) reject(qmpError(`QEMU went away during ${command}`));
    pending.clear();
  });

  const lines = createInterface({ input: socket });
  // It repeats the socket's errors, which show as its end.
  lines.on('error', () => undefined);
  lines.on('line', (line) => {
    const reply = parseReply(line);
    if (reply?.QMP !== undefined) greeted();
    if (reply?.event !== undefined) awaited.get(reply.event)?.();
    const waiting = reply?.id === undefined ? undefined : pending.get(reply.id);
    if (!reply || !waiting) return;
    pending.delete(reply.id as number);
    if (reply.error)
      waiting.reject(qmpError(`QEMU refused ${waiting.command}: ${reply.error.desc}`, reply.error.class));
    else waiting.resolve(reply.return);
  });

  const execute: Qmp['execute'] = (command, args = {}) =>
    new Promise((resolve, reject) => {
      if (socket.destroyed) throw qmpError(`QEMU went away before ${command}`);
      const id = ++lastId;
      pending.set(id, { command, resolve, reject });
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });

  const close = async () => {
    socket.destroy();
    await closed;
  };
  try {
    await withinDeadline(greeting, closed, timeoutMs);
    await execute('qmp_capabilities');
  } catch (error) {
    await close();
    throw error;
  }
  return {
    execute,
    human: async (commandLine) => String(await execute('human-monitor-command', { 'command-line': commandLine })),
    next: (event) => new Promise((resolve) => awaited.set(event, resolve)),
    closed,
    [Symbol.asyncDispose]: close,
  };
}

async function connected(socketPath: string): Promise<Socket> {
  const socket = connect(socketPath);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', (error) => reject(qmpError(`no QEMU answers at ${socketPath}: ${messageOf(error)}`)));
  });
  // What goes wrong from here on shows as the end of the connection.
  socket.removeAllListeners('error').on('error', () => undefined);
  return socket;
}

async function withinDeadline(greeting: Promise<void>, closed: Promise<void>, timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(qmpError(`QEMU did not greet within ${timeoutMs / 1000} s`)), timeoutMs);
  });
  const ended = closed.then(() => Promise.reject(qmpError('QEMU went away before it greeted')));
  try {
    await Promise.race([greeting, ended, late]);
  } finally {
    clearTimeout(timer);
    ended.catch(() => undefined);
  }
}

function parseReply(line: string): Reply | undefined {
  try {
    return JSON.parse(line) as Reply;
  } catch {
    return undefined;
  }
}

function qmpError(message: string, qmpClass?: string): NixproofError {
  return new NixproofError('MACHINE_QMP', message, qmpClass === undefined ? {} : { details: { class: qmpClass } });
}

/** The host's port that is forwarded to the guest's SSH, from the text of `info usernet` (the fifth column is the port). */
export function forwardedPort(usernet: string): number | undefined {
  const port = /TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+22\b/.exec(usernet)?.[1];
  return port === undefined ? undefined : Number(port);
}
