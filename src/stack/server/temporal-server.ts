import { NixproofError } from '../../domain/error.js';
import type { Work } from '../../domain/work.js';
import { acquireLock } from '../../host/lock.js';
import { findProgram } from '../../host/programs.js';
import { acquireExecutable } from './acquire.js';
import { findCached, serverCache } from './executable-cache.js';
import { withProgress } from './with-progress.js';
import { probeExecutable } from './server-version.js';

/** A `temporal` program that has been seen to run. */
export interface ServerExecutable {
  /** Absolute path. */
  readonly file: string;
  /** For people and for comparing: what it says to `--version`, such as `1.5.1 (Server 1.29.1, UI 2.42.1)`. */
  readonly version: string;
  readonly source: 'path' | 'cache';
}

export interface FindOptions {
  readonly work: Work;
  readonly env?: NodeJS.ProcessEnv;
}

/** The server this host has already, without getting one: `temporal` on PATH, else our cache. */
export async function findTemporalServer(options: FindOptions): Promise<ServerExecutable | undefined> {
  return (await look(options)).found;
}

/**
 * The server this host has, or one got for it: by the Temporal SDK's own download, else built with Go; kept in the cache. Of
 * several processes that need it at the same moment one gets it and the others wait.
 * @throws NixproofError `HOST_TEMPORAL_MISSING`, with everything that was tried in its details
 */
export async function getTemporalServer(options: FindOptions): Promise<ServerExecutable> {
  const { work, env = process.env } = options;
  const first = await look(options);
  if (first.found) return first.found;
  return underLock(work, env, async () => {
    const again = await look(options);
    if (again.found) return again.found;
    const acquisition = await acquireExecutable(work, env);
    if (!acquisition.got) throw missing([...again.tried, ...acquisition.tried]);
    const { file, manifest } = acquisition.got;
    return { file, version: versionText(manifest.reports), source: 'cache' };
  });
}

async function underLock<T>(work: Work, env: NodeJS.ProcessEnv, fn: () => Promise<T>): Promise<T> {
  const waiting = () => 'waiting for another nixproof that is getting the Temporal server';
  const acquire = () => acquireLock(serverCache(env).lock, { signal: work.signal });
  const lock = await withProgress(work, waiting, acquire, { atOnce: false });
  try {
    return await fn();
  } finally {
    await lock.release();
  }
}

async function look({ work, env = process.env }: FindOptions): Promise<{ found?: ServerExecutable; tried: string[] }> {
  const tried: string[] = [];
  const onPath = await findProgram('temporal', env);
  if (onPath === undefined) tried.push('PATH: no program named temporal');
  else {
    const probe = await probeExecutable(onPath, work.signal, env);
    if (probe.usable)
      return { found: { file: onPath, version: versionText(probe.version.line), source: 'path' }, tried };
    tried.push(`PATH: ${probe.reason}`);
  }
  const cached = await findCached(work.signal, env);
  if (cached)
    return { found: { file: cached.file, version: versionText(cached.manifest.reports), source: 'cache' }, tried };
  tried.push(`${serverCache(env).folder}: nothing usable`);
  return { tried };
}

function versionText(line: string): string {
  return line.replace(/^temporal version /, '');
}

function missing(tried: readonly string[]): NixproofError {
  const list = tried.map((line) => `  - ${line}`).join('\n');
  return new NixproofError('HOST_TEMPORAL_MISSING', 'there is no Temporal server on this host and none could be got', {
    hint:
      'install the Temporal CLI (https://docs.temporal.io/cli) so that `temporal` is on PATH, or install Go 1.25 or later, ' +
      `or set TEMPORAL_ADDRESS to a server elsewhere; tried:\n${list}`,
    details: { tried },
  });
}
