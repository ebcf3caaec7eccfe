import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What a server does with one request for its file, besides being asked for it. */
export type Behaviour =
  | { readonly kind: 'whole' }
  /** The connection breaks after so many bytes. */
  | { readonly kind: 'breaks-off'; readonly after: number }
  | { readonly kind: 'no-ranges' }
  | { readonly kind: 'status'; readonly status: number };

export interface ImageServer extends AsyncDisposable {
  readonly url: string;
  /** The `Range` of every request for the file, in their order. */
  readonly ranges: readonly (string | undefined)[];
}

/** A web server with one file, `/image.iso`, and its sum beside it; `/latest.iso` leads to it. */
export async function serveImage(
  content: Buffer,
  behaviours: readonly Behaviour[] = [],
  sum = '',
): Promise<ImageServer> {
  const ranges: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    const url = request.url ?? '';
    if (url.startsWith('/latest.iso')) {
      response.writeHead(302, { location: url.replace('latest', 'image') }).end();
      return;
    }
    if (url.endsWith('.sha256')) {
      response.end(sum);
      return;
    }
    const { range } = request.headers;
    const behaviour = behaviours[ranges.length] ?? { kind: 'whole' };
    ranges.push(range);
    if (behaviour.kind === 'status') {
      response.writeHead(behaviour.status).end();
      return;
    }
    const from = behaviour.kind === 'no-ranges' ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    if (from >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const body = content.subarray(from);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length });
    if (behaviour.kind !== 'breaks-off') response.end(body);
    else response.write(body.subarray(0, behaviour.after), () => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ranges,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
