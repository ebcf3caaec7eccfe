import { readdir, readFile } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Work } from '../../src/machines/machine.js';
import { prepareBase } from '../../src/machines/qemu/prepare.js';
import type { Bench } from './bench.js';

const GROUND = fileURLToPath(new URL('../fixtures/drill-ground/', import.meta.url));
/** The drill ground's: its machines are clones of a template that is frozen for it. */
const SHAPE = { memoryMiB: 1024, cpus: 1, diskBytes: [2 * 1024 ** 3], firmware: 'bios' } as const;
const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };

/** The drill ground in a folder, with the mirror that its installer asks. Disposing closes the mirror. */
export interface Ground extends AsyncDisposable {
  readonly folder: string;
}

/** @param drills the faults of `--drill`; left out: all that its configuration names */
export async function openGround(bench: Pick<Bench, 'folder'>, drills?: readonly string[]): Promise<Ground> {
  const answer: RequestListener = (_, response) => void response.end('here it is\n');
  const key = await readFile(path.join(GROUND, 'tls/mirror.key'));
  const cert = await readFile(path.join(GROUND, 'tls/mirror.pem'));
  const servers = [createServer(answer), createTlsServer({ key, cert }, answer)];
  const [http = 0, tls = 0] = await Promise.all(servers.map(listen));
  return {
    folder: await bench.folder(await groundFiles(openings(http, tls), drills)),
    async [Symbol.asyncDispose]() {
      await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    },
  };
}

function openings(http: number, tls: number): Readonly<Record<string, string>> {
  return {
    '@HTTP@': String(http),
    '@TLS@': String(tls),
    "'@HTTP-NUMBER@'": String(http),
    "'@TLS-NUMBER@'": String(tls),
  };
}

/** Builds what its machines are cloned from, once. */
export async function prepareGround(bench: Pick<Bench, 'layout'>): Promise<void> {
  await prepareBase('debian', bench.layout, WORK, SHAPE);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port)));
}

/** The drill ground's files, with what its configuration leaves open. */
async function groundFiles(
  open: Readonly<Record<string, string>>,
  drills: readonly string[] | undefined,
): Promise<Readonly<Record<string, string>>> {
  const names = (await readdir(GROUND, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(GROUND, path.join(entry.parentPath, entry.name)));
  const files = names.map(async (name) => {
    let text = await readFile(path.join(GROUND, name), 'utf8');
    if (name === 'nixproof.yaml') {
      for (const [mark, value] of Object.entries(open)) text = text.replace(mark, value);
      const isDrilled = (fault: string) => drills?.includes(fault) ?? true;
      text = text.replace(/^ {6}- ([a-z-]+(?:@[A-Z]+)?)\n/gm, (line, fault: string) => (isDrilled(fault) ? line : ''));
    }
    return [name, text] as const;
  });
  return Object.fromEntries(await Promise.all(files));
}
