import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';

export const LOOPBACK = '127.0.0.1';

/** The ports of one server, all on the loopback interface. */
export interface Ports {
  readonly grpc: number;
  /** Of the HTTP API, which refuses all requests: it has no switch. */
  readonly http: number;
  /** Of the UI's server, on an address of its own. */
  readonly ui: number;
  readonly metrics: number;
}

/**
 * Where ports are chosen: below those that Linux gives to outgoing connections (ip(7),
 * `ip_local_port_range`), one of which could hold a server's port while it is restarted, and below
 * those of Kubernetes' node ports.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 29_999;

/** Ports that are free now; the preferred ones where they are. They may be taken by the time they are used. */
export async function freePorts(preferred?: Ports): Promise<Ports> {
  if (preferred && (await Promise.all(Object.values(preferred).map(isFree))).every(Boolean)) return preferred;
  const free = new Set<number>();
  while (free.size < 4) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (await isFree(port)) free.add(port);
  }
  const [grpc = 0, http = 0, ui = 0, metrics = 0] = free;
  return { grpc, http, ui, metrics };
}

/** Whether anything accepts connections on a port. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: LOOPBACK });
    const done = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('connect', () => done(true)).once('error', () => done(false));
  });
}

/** Whether a server can listen on a port of the loopback address now. */
export function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ port, host: LOOPBACK }, () => server.close(() => resolve(true)));
  });
}
