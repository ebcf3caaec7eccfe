import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import ssh2, {
  type AuthContext,
  type Connection as ServerConnection,
  type ParsedKey,
  type ServerChannel,
  type Session,
} from 'ssh2';

export interface SandboxServerOptions {
  readonly hostKeyFile: string;
  /** The one key that may log in, an authorized_keys line. */
  readonly authorizedKey: string;
  /** Where commands run. */
  readonly cwd: string;
  /** The whole environment of what runs: nothing of ours leaks into it. */
  readonly env: Readonly<Record<string, string>>;
}

/** A listening SSH server in this process whose sessions are processes of this host. Disposing ends its connections. */
export interface SandboxListener extends AsyncDisposable {
  readonly port: number;
}

/** Listens on a free port of the loopback interface. */
export async function serveSandbox(options: SandboxServerOptions): Promise<SandboxListener> {
  const authorized = ssh2.utils.parseKey(options.authorizedKey);
  if (authorized instanceof Error) throw authorized;
  const clients = new Set<ServerConnection>();
  const server = new ssh2.Server({ hostKeys: [await readFile(options.hostKeyFile)] }, (client) => {
    clients.add(client);
    client.on('error', () => client.end());
    client.on('close', () => clients.delete(client));
    client.on('authentication', (context) => {
      if (mayLogIn(context, authorized)) context.accept();
      else context.reject(['publickey']);
    });
    client.on('session', (accept) => serveSession(accept(), options));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      for (const client of clients) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/**
 * Whether a client may log in with this key, or, without a signature yet, may try. ssh2 believes
 * the client's name of the key's algorithm, and its `verify` answers with an Error, not false,
 * where that name does not fit the key.
 */
function mayLogIn(context: AuthContext, authorized: ParsedKey): boolean {
  if (context.method !== 'publickey') return false;
  const { key, signature, blob } = context;
  if (key.algo !== authorized.type || !key.data.equals(authorized.getPublicSSH())) return false;
  if (signature === undefined) return true;
  const verified: unknown = authorized.verify(blob ?? '', signature);
  return verified === true;
}

/** How a request is granted; undefined, whatever ssh2's types say, where the client wants no answer, as with `env` and `signal`. */
type Grant = (() => void) | undefined;

function serveSession(session: Session, options: SandboxServerOptions): void {
  let terminal = false;
  session.on('pty', (accept: Grant) => {
    terminal = true;
    accept?.();
  });
  session.on('env', (accept: Grant) => accept?.());
  session.on('exec', (accept, _reject, { command }) => runCommand(session, accept(), command, options));
  session.on('shell', (accept) => {
    // Node has no pseudo-terminals: script(1) makes one for a shell by hand.
    const shell = terminal ? 'exec script -qfc "${SHELL:-/bin/sh}" /dev/null' : 'exec "${SHELL:-/bin/sh}"';
    runCommand(session, accept(), shell, options);
  });
}

function runCommand(session: Session, channel: ServerChannel, command: string, options: SandboxServerOptions): void {
  // A process group of its own, so that a broken connection takes the whole command along, as a hang-up does.
  const child = spawn('/bin/sh', ['-c', command], { cwd: options.cwd, env: options.env, detached: true });
  channel.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  session.on('signal', (accept: Grant, _reject, { name }) => {
    accept?.();
    killGroup(child, `SIG${name}` as NodeJS.Signals);
  });
  child.on('error', ({ message }) => {
    channel.stderr.write(`${message}\n`);
    channel.exit(127);
    channel.end();
  });
  // As sshd does: the status is sent when the command ends, the channel ends when no child of it
  // holds its output any more.
  child.on('exit', (code, signal) => {
    if (signal) channel.exit(signal.slice(3), false, '');
    else channel.exit(code ?? 255);
  });
  child.on('close', () => channel.end());
  channel.on('close', () => killGroup(child, 'SIGHUP'));
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // It ended in the meantime.
  }
}
