import { appendFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { text } from 'node:stream/consumers';

/** Listens for what guests that do not see this host's files write down: one line a connection, `FILE TEXT`. */
export interface Recorder extends AsyncDisposable {
  readonly port: number;
}

export async function openRecorder(records: string): Promise<Recorder> {
  const server = createServer((socket) => {
    void text(socket).then(async (line) => {
      const [, file, what] = /^(torture-[\d-]+\.[a-z]+) (.*)$/m.exec(line) ?? [];
      if (file !== undefined && what !== undefined) await appendFile(path.join(records, file), `${what}\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => void server.close(() => resolve())),
  };
}
