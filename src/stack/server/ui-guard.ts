import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isErrno } from '../../host/files.js';
import { LOOPBACK } from './ports.js';

/** What is in front of the Temporal UI. Disposing closes its connections. */
export interface UiGuard extends AsyncDisposable {
  readonly port: number;
}

/** Where the UI's server listens. */
export interface UiServer {
  readonly host: string;
  readonly port: number;
}

/**
 * An address for the UI's server that no web page can guess: on Linux all of 127.0.0.0/8 is this
 * host (RFC 1122, 3.2.1.3). Elsewhere only 127.0.0.1 can be listened on.
 */
export function hiddenLoopback(): string {
  if (process.platform !== 'linux') return LOOPBACK;
  const [first = 0, second = 0, third = 0] = randomBytes(3);
  return `127.${first}.${second}.${1 + (third % 254)}`;
}

/**
 * Answers for the UI's server, which has no such check, where a request names this address, and
 * comes from no page of another one: a page whose name was bound to 127.0.0.1 after it was loaded
 * sends its own name.
 * @param preferred the port to listen on; another one where that is taken
 */
export async function guardUi(behind: UiServer, preferred = 0): Promise<UiGuard> {
  const server = createServer();
  await listen(server, preferred).catch((error: unknown) => {
    if (!isErrno(error, 'EADDRINUSE')) throw error;
    return listen(server, 0);
  });
  const { port } = server.address() as AddressInfo;
  const own = [`${LOOPBACK}:${port}`, `localhost:${port}`];
  server.on('request', (asked, answer) => {
    if (isFromUs(asked, own)) pass(asked, answer, behind);
    else answer.writeHead(403, { 'content-type': 'text/plain' }).end(`use http://${LOOPBACK}:${port}\n`);
  });
  return {
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function listen(server: Server, port: number): Promise<void> {
  server.listen(port, LOOPBACK);
  await once(server, 'listening');
}

function isFromUs({ headers: { host, origin } }: IncomingMessage, own: readonly string[]): boolean {
  if (host === undefined || !own.includes(host)) return false;
  return origin === undefined || own.includes(origin.replace(/^http:\/\//, ''));
}

function pass(asked: IncomingMessage, answer: ServerResponse, behind: UiServer): void {
  const { method, url, headers } = asked;
  const host = `${behind.host}:${behind.port}`;
  const passed = request({ ...behind, method, path: url, headers: { ...headers, host } }, (reply) => {
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(answer);
  });
  passed.once('error', () => {
    if (!answer.headersSent) answer.writeHead(502);
    answer.end();
  });
  answer.once('close', () => passed.destroy());
  asked.pipe(passed);
}
