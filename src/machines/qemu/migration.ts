import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { NixproofError } from '../../domain/error.js';
import { waitUntil } from '../../host/process.js';
import type { Qmp } from './qmp.js';

const MIGRATION_MS = 60_000;

/** Leaves the memory out of the stream: both sides have it in the same file (QEMU's capability x-ignore-shared). */
export async function shareMemory(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-capabilities', { capabilities: [{ capability: 'x-ignore-shared', state: true }] });
}

/** Where a machine's state is kept, and the folder of its sockets. */
interface StatePlace {
  readonly file: string;
  readonly sockets: string;
}

/**
 * Writes the state of a stopped machine to a file. Through a socket: a confined QEMU starts no
 * program, and only QEMU 8.2 and newer write files themselves.
 * @throws NixproofError `MACHINE_MIGRATION`
 */
export async function writeState(qmp: Qmp, { file, sockets }: StatePlace, signal: AbortSignal): Promise<void> {
  const socket = path.join(sockets, 'state');
  const server = createServer().listen(socket);
  try {
    await once(server, 'listening', { signal });
    const written = once(server, 'connection', { signal }).then(([connection]) =>
      pipeline(connection as Socket, createWriteStream(file, { mode: 0o600 }), { signal }),
    );
    await Promise.all([
      written,
      qmp.execute('migrate', { uri: `unix:${socket}` }).then(() => migrationEnd(qmp, signal)),
    ]);
  } finally {
    server.close();
  }
}

/**
 * Puts a machine that waits for it into the state of a file.
 * @throws NixproofError `MACHINE_MIGRATION`
 */
export async function readState(qmp: Qmp, { file, sockets }: StatePlace, signal: AbortSignal): Promise<void> {
  const socket = path.join(sockets, 'state');
  await qmp.execute('migrate-incoming', { uri: `unix:${socket}` });
  const connection = connect(socket);
  // QEMU hangs up when it has read the state's end, whether or not we have said that it is the end:
  // only its own word counts. Without the whole state it says that it failed.
  const sent = pipeline(createReadStream(file), connection, { signal }).catch(() => undefined);
  try {
    await migrationEnd(qmp, signal);
  } finally {
    connection.destroy();
    await sent;
  }
}

/** Waits for a migration, out or in, to be complete. @throws NixproofError `MACHINE_MIGRATION` */
export async function migrationEnd(qmp: Qmp, signal: AbortSignal): Promise<void> {
  let last: { status?: string; 'error-desc'?: string } = {};
  const ended = await waitUntil(
    async () => {
      last = (await qmp.execute('query-migrate')) as typeof last;
      return last.status === 'completed' || last.status === 'failed';
    },
    MIGRATION_MS,
    { everyMs: 5, signal },
  );
  if (ended && last.status === 'completed') return;
  throw new NixproofError(
    'MACHINE_MIGRATION',
    `the machine's state could not be moved: ${last['error-desc'] ?? last.status ?? 'no answer'}`,
  );
}

/**
 * Makes disks writable for the monitor before the guest runs. Since QEMU 10 they are inactive from
 * the end of an incoming migration until `cont` (QMP reference: blockdev-set-active); QEMU without
 * that command has them active.
 */
export async function activateDisks(qmp: Qmp): Promise<void> {
  const commands = (await qmp.execute('query-commands')) as readonly { readonly name: string }[];
  if (!commands.some(({ name }) => name === 'blockdev-set-active')) return;
  await qmp.execute('blockdev-set-active', { active: true });
}
