import { chmod, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { makeFolder, readJson, sha256Of, writeJson } from '../../host/files.js';
import { cacheDirectory } from '../../host/paths.js';
import { compareVersions, probeExecutable, type ServerVersion } from './server-version.js';

/** How a server that is in the cache came there. */
export type AcquiredFrom = 'sdk' | 'go';

/** `manifest.json` beside a cached executable. */
export interface CacheManifest {
  readonly source: AcquiredFrom;
  /** What was asked for, and the folder's name. */
  readonly version: string;
  /** The executable's name in this folder; it holds platform and architecture. */
  readonly file: string;
  readonly sha256: string;
  /** Bytes. */
  readonly size: number;
  /** What it printed to `--version` when it was taken in. */
  readonly reports: string;
  /** ISO 8601. */
  readonly acquiredAt: string;
}

export interface CachedExecutable {
  readonly file: string;
  readonly manifest: CacheManifest;
}

/** `<cache>/temporal`: one folder a version, and the lock under which they are filled. */
export function serverCache(env: NodeJS.ProcessEnv = process.env): { folder: string; lock: string; staging: string } {
  const folder = path.join(cacheDirectory(env), 'temporal');
  return { folder, lock: path.join(folder, 'acquire.lock'), staging: path.join(folder, 'staging') };
}

/**
 * The newest executable of the cache that still is what was taken in, byte for byte, and still
 * runs; or undefined.
 */
export async function findCached(signal: AbortSignal, env: NodeJS.ProcessEnv): Promise<CachedExecutable | undefined> {
  const { folder } = serverCache(env);
  const versions = (await readdir(folder).catch(() => [])).sort(compareVersions).reverse();
  for (const version of versions) {
    const cached = await readCached(path.join(folder, version));
    if (cached && (await isWhole(cached, signal, env))) return cached;
  }
  return undefined;
}

async function readCached(folder: string): Promise<CachedExecutable | undefined> {
  const manifest = await readJson<CacheManifest>(path.join(folder, 'manifest.json')).catch(() => undefined);
  return manifest?.file === executableName() ? { file: path.join(folder, manifest.file), manifest } : undefined;
}

async function isWhole(
  { file, manifest }: CachedExecutable,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
): Promise<boolean> {
  const size = await stat(file).then(
    (entry) => entry.size,
    () => -1,
  );
  // Before it is run.
  if (size !== manifest.size || (await sha256Of(file)) !== manifest.sha256) return false;
  const probe = await probeExecutable(file, signal, env);
  return probe.usable && probe.version.line === manifest.reports;
}

/**
 * Takes an executable into the cache by moving it there; the folder of its version appears whole. Call it with the cache's
 * lock held and the file on the same file system (below `staging`).
 */
export async function storeExecutable(
  file: string,
  about: { readonly source: AcquiredFrom; readonly version: string; readonly probed: ServerVersion },
  env: NodeJS.ProcessEnv = process.env,
): Promise<CachedExecutable> {
  const { folder, staging } = serverCache(env);
  const whole = path.join(staging, 'whole');
  await makeFolder(whole);
  const name = executableName();
  await rename(file, path.join(whole, name));
  await chmod(path.join(whole, name), 0o755);
  const manifest: CacheManifest = {
    source: about.source,
    version: about.version,
    file: name,
    sha256: await sha256Of(path.join(whole, name)),
    size: (await stat(path.join(whole, name))).size,
    reports: about.probed.line,
    acquiredAt: new Date().toISOString(),
  };
  await writeJson(path.join(whole, 'manifest.json'), manifest);
  const target = path.join(folder, about.version);
  await rm(target, { recursive: true, force: true });
  await rename(whole, target);
  return { file: path.join(target, name), manifest };
}

function executableName(): string {
  return `temporal-${process.platform}-${process.arch}`;
}
