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

/** Ports that are free now; the preferred ones where they are. They may be taken by the time they are used. */
export async function freePorts(preferred?: Ports): Promise<Ports> {
  if (preferred && (await Promise.all(Object.values(preferred).map(isFree))).every(Boolean)) return preferred;
  const probes = await Promise.all([listen(0), listen(0), listen(0), listen(0)]);
  const [grpc = 0, http = 0, ui = 0, metrics = 0] = probes.map((probe) => probe.port);
  await Promise.all(probes.map((probe) => probe.close()));
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
export async function isFree(port: number): Promise<boolean> {
  try {
    await (await listen(port)).close();
    return true;
  } catch {
    return false;
  }
}

async function listen(port: number): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host: LOOPBACK }, resolve);
  });
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
