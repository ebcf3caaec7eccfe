import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NixproofError } from '../../domain/error.js';
import type { SandboxServerOptions } from './server.js';

/** An SSH server of one sandbox. Disposing ends its connections. */
export interface SandboxServer extends AsyncDisposable {
  readonly port: number;
  /** False once the process that it is in has ended. */
  readonly isUp: boolean;
}

/** What the process of the servers is told: to start one, or to end the one on a port. */
export type Order = { readonly start: SandboxServerOptions } | { readonly end: number };

/** Its answer: the server's port, or what went wrong. */
export type Answer = { readonly port: number } | { readonly error: string };

/** Without its suffix, which is another one where the sources are run. */
const PROGRAM = fileURLToPath(new URL('./server-process', import.meta.url));

const ANSWERS_WITHIN_MS = 20_000;

let current: ServerProcess | undefined;

/**
 * Starts a server on a free port of the loopback interface. All servers of this process are in one other: each command in a sandbox
 * is a fork, which copies the page tables of who forks, and stops it meanwhile; a worker is five times as large.
 * @throws NixproofError `TRANSPORT_LOST`
 */
export async function startSandboxServer(options: SandboxServerOptions): Promise<SandboxServer> {
  const servers = current?.isUp ? current : (current = startServerProcess());
  const port = await servers.tell({ start: options });
  return {
    port,
    get isUp() {
      return servers.isUp;
    },
    async [Symbol.asyncDispose]() {
      if (servers.isUp) await servers.tell({ end: port }).catch(() => undefined);
    },
  };
}

type ServerProcess = ReturnType<typeof startServerProcess>;

/** It ends when this process does, however that ends; it keeps none from ending. */
function startServerProcess() {
  // A session of its own: Ctrl-C in a terminal is not for it. Nothing in its environment says that it is of some home.
  const child = fork(PROGRAM, { detached: true, env: {}, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const waiting = new Map<number, (answer: Answer) => void>();
  let isUp = true;
  let orders = 0;
  const settle = (order: number, answer: Answer) => {
    waiting.get(order)?.(answer);
    waiting.delete(order);
    if (waiting.size === 0) child.channel?.unref();
  };
  const ended = () => {
    isUp = false;
    for (const order of [...waiting.keys()]) settle(order, { error: 'their process has ended' });
  };
  child.once('exit', ended).once('error', ended);
  child.on('message', ({ order, ...answer }: Answer & { order: number }) => settle(order, answer));
  child.unref();
  return {
    get isUp() {
      return isUp;
    },
    async tell(order: Order): Promise<number> {
      const number = orders++;
      // One that stands still is of no use to anybody: another takes its place.
      const stuck = setTimeout(() => child.kill('SIGKILL'), ANSWERS_WITHIN_MS);
      const answer = await new Promise<Answer>((resolve) => {
        waiting.set(number, resolve);
        child.channel?.ref();
        child.send({ ...order, order: number }, (error) => error && settle(number, { error: error.message }));
      });
      clearTimeout(stuck);
      if ('port' in answer) return answer.port;
      throw new NixproofError('TRANSPORT_LOST', `the sandboxes' SSH servers: ${answer.error}`);
    },
  };
}
