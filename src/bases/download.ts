import { createWriteStream } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { NixproofError, messageOf } from '../domain/error.js';
import type { Work } from '../domain/work.js';
import { makeFolder, isErrno, sha256Of } from '../host/files.js';

/** What is to be got, and what it must be. */
export interface Download {
  readonly url: string;
  /** Hexadecimal. */
  readonly sha256: string;
  /** Absolute path. What has come so far is beside it, with `.part` behind its name, and is gone on with. */
  readonly file: string;
}

export interface DownloadPatience {
  /** How often in a row nothing at all may come before it is given up. */
  readonly attempts: number;
  readonly pauseMs: number;
  /** A connection on which nothing comes for so long is given up. */
  readonly stallMs: number;
}

const PATIENCE: DownloadPatience = { attempts: 5, pauseMs: 2000, stallMs: 30_000 };
const PROGRESS_MS = 1000;
const MIB = 1024 * 1024;
const OTHER_WAY = 'get the image in another way and name it with its hash: `--base iso:PATH#SHA256`';

/**
 * Gets a file whole or not at all. A connection that breaks off is taken up where it did (HTTP ranges, RFC 9110, 14), in this
 * call or the next; the sum of the whole decides in the end. One process at a time: the caller holds a lock.
 * @throws NixproofError `HOST_DOWNLOAD_FAILED` where the server cannot be reached, refuses or goes silent; `HOST_DOWNLOAD_SUM`
 * where what came is something else: it is removed
 */
export async function download(request: Download, work: Work, patience = PATIENCE): Promise<void> {
  const part = `${request.file}.part`;
  await makeFolder(path.dirname(part));
  for (let idle = 0; ;) {
    const before = await sizeOf(part);
    try {
      if ((await fetchRest(request, part, before, work, patience)) === 'whole') break;
    } catch (error) {
      work.signal.throwIfAborted();
      if (error instanceof NixproofError) throw error;
      if (isErrno(error, 'ENOSPC')) throw new NixproofError('HOST_DISK_FULL', `no room for ${part}`, { cause: error });
      idle = (await sizeOf(part)) > before ? 0 : idle + 1;
      if (idle >= patience.attempts) throw unreachable(request.url, error);
      work.progress(`the download broke off (${reasonOf(error)}): going on with it`);
      await delay(patience.pauseMs, undefined, { signal: work.signal });
    }
  }
  await verify(request, part, work);
  await rename(part, request.file);
}

/** A small text, such as a published sum, and the address it really came from. @throws NixproofError `HOST_DOWNLOAD_FAILED` */
export async function fetchText(
  url: string,
  { signal }: Work,
): Promise<{ readonly text: string; readonly url: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(PATIENCE.stallMs)]) });
    if (!response.ok) throw refused(url, response);
    return { text: await response.text(), url: response.url };
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof NixproofError ? error : unreachable(url, error);
  }
}

/** One connection: what is missing, appended. `again`: what was there is of no use and was removed. */
async function fetchRest(
  { url }: Download,
  part: string,
  have: number,
  work: Work,
  { stallMs }: DownloadPatience,
): Promise<'whole' | 'again'> {
  const stalled = new AbortController();
  const watch = setTimeout(() => stalled.abort(new Error(`nothing came for ${stallMs / 1000} s`)), stallMs);
  try {
    const response = await fetch(url, {
      headers: { 'accept-encoding': 'identity', ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
      signal: AbortSignal.any([work.signal, stalled.signal]),
    });
    if (have > 0 && response.status === 416) return await endOfRange(response, part, have);
    if (response.status >= 500) throw new Error(`the server answered ${response.status}`);
    if (!response.ok || !response.body) throw refused(url, response);
    // A server that knows no ranges sends everything again.
    const from = response.status === 206 ? have : 0;
    const total = from + Number(response.headers.get('content-length') ?? Number.NaN);
    const count = counter(from, total, () => watch.refresh(), work);
    const file = createWriteStream(part, { flags: from > 0 ? 'a' : 'w' });
    await pipeline(Readable.fromWeb(response.body), count, file);
    if (Number.isFinite(total) && (await sizeOf(part)) < total) throw new Error('the connection ended early');
    return 'whole';
  } finally {
    clearTimeout(watch);
  }
}

/** Nothing lies behind what there is: it is whole, or it was never a beginning of this file. */
async function endOfRange(response: Response, part: string, have: number): Promise<'whole' | 'again'> {
  await response.body?.cancel();
  const total = /^bytes \*\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (Number(total) === have) return 'whole';
  await rm(part, { force: true });
  return 'again';
}

function counter(from: number, total: number, alive: () => void, { progress }: Work): Transform {
  const started = performance.now();
  let bytes = from;
  let toldAt = -Infinity;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      alive();
      bytes += chunk.length;
      const now = performance.now();
      if (now - toldAt >= PROGRESS_MS) {
        toldAt = now;
        progress(`downloading: ${howFar(bytes, total)}${howFast(bytes - from, now - started)}`);
      }
      done(null, chunk);
    },
  });
}

/** What of it is here, for people: `52 %, 600 of 1154 MiB`; how much of it where nobody says how large it is. */
export function howFar(bytes: number, total: number): string {
  const done = Math.floor(bytes / MIB);
  if (!Number.isFinite(total) || total === 0) return `${done} MiB`;
  return `${Math.floor((bytes / total) * 100)} %, ${done} of ${Math.ceil(total / MIB)} MiB`;
}

/** Of one connection, in decimal megabytes as networks count; nothing while there is no telling yet. */
export function howFast(bytes: number, elapsedMs: number): string {
  return elapsedMs < PROGRESS_MS ? '' : ` at ${(bytes / elapsedMs / 1000).toFixed(1)} MB/s`;
}

async function verify({ url, sha256 }: Download, part: string, work: Work): Promise<void> {
  work.progress('verifying its SHA-256');
  const found = await sha256Of(part);
  if (found === sha256.toLowerCase()) return;
  await rm(part, { force: true });
  throw new NixproofError(
    'HOST_DOWNLOAD_SUM',
    `${url} is not what was asked for: its SHA-256 is ${found}, not ${sha256}`,
    {
      hint: 'what came was removed; compare the sum with the one its publisher names, and try again',
      details: { url, expected: sha256, found },
    },
  );
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  );
}

function refused(url: string, { status, statusText }: Response): NixproofError {
  return new NixproofError('HOST_DOWNLOAD_FAILED', `${url}: the server answered ${`${status} ${statusText}`.trim()}`, {
    hint: `check the address; or ${OTHER_WAY}`,
    details: { url, status },
  });
}

function unreachable(url: string, cause: unknown): NixproofError {
  return new NixproofError('HOST_DOWNLOAD_FAILED', `${url} cannot be reached: ${reasonOf(cause)}`, {
    hint: `check this host's network; or ${OTHER_WAY}`,
    details: { url },
    cause,
  });
}

/** fetch says `fetch failed` of everything; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? messageOf(error) : messageOf(cause) || String((cause as { code?: string }).code);
}
