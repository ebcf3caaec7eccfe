import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../domain/error.js';
import type { Work } from '../../domain/work.js';
import { runCommand } from '../../host/process.js';
import { serverCache, storeExecutable, type AcquiredFrom, type CachedExecutable } from './executable-cache.js';
import { withProgress } from './with-progress.js';
import { compareVersions, probeExecutable } from './server-version.js';
import { makeFolder } from '../../host/files.js';

/** The newest tag that `go install` takes: later ones have `replace` lines in their go.mod, which it refuses. */
export const GO_VERSION = '1.5.1';
const GO_MODULE = 'github.com/temporalio/cli';
/** What that module's go.mod asks for. */
const GO_TOOLCHAIN = '1.25';
/** Go itself fetches a newer toolchain from this release on (go.dev/doc/toolchain), unless GOTOOLCHAIN=local. */
const GO_SWITCHES_SINCE = '1.21';
/** A download that brings no byte for so long is given up. */
const DOWNLOAD_STALL_MS = 15_000;

interface Context {
  readonly work: Work;
  readonly env: NodeJS.ProcessEnv;
  /** An empty folder on the cache's file system. */
  readonly staging: string;
}

export type Acquisition =
  | { readonly got: CachedExecutable }
  /** One line a source: why it gave nothing. */
  | { readonly got: undefined; readonly tried: readonly string[] };

/** A way of getting the executable: gives the file it put into `staging`, or throws why it cannot. */
interface Source {
  readonly from: AcquiredFrom;
  readonly name: string;
  readonly fetch: (context: Context) => Promise<{ readonly file: string; readonly version?: string }>;
}

const SOURCES: readonly Source[] = [
  { from: 'sdk', name: "the Temporal SDK's download", fetch: downloadWithSdk },
  { from: 'go', name: 'Go', fetch: installWithGo },
];

/** Gets an executable from the first source that can and takes it into the cache. Call it with the cache's lock held. */
export async function acquireExecutable(work: Work, env: NodeJS.ProcessEnv): Promise<Acquisition> {
  const { staging } = serverCache(env);
  const tried: string[] = [];
  for (const source of SOURCES) {
    // What a killed predecessor left is in the same place.
    await rm(staging, { recursive: true, force: true });
    await makeFolder(staging);
    try {
      return { got: await acquireFrom(source, { work, env, staging }) };
    } catch (error) {
      work.signal.throwIfAborted();
      const line = `${source.name}: ${firstLine(messageOf(error))}`;
      tried.push(line);
      work.progress(`no Temporal server from ${line}`);
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  }
  return { got: undefined, tried };
}

async function acquireFrom(source: Source, context: Context): Promise<CachedExecutable> {
  const { file, version } = await source.fetch(context);
  const probe = await probeExecutable(file, context.work.signal, context.env);
  if (!probe.usable) throw new Error(probe.reason);
  const about = { source: source.from, version: version ?? probe.version.cli, probed: probe.version };
  const stored = await storeExecutable(file, about, context.env);
  context.work.progress(`got the Temporal server ${stored.manifest.version}, kept in ${path.dirname(stored.file)}`);
  return stored;
}

async function downloadWithSdk({ work, env, staging }: Context): Promise<{ file: string }> {
  const program = fileURLToPath(new URL('./sdk-download.js', import.meta.url));
  const stalled = new AbortController();
  const watch = watchGrowth(staging, () => stalled.abort());
  const signal = AbortSignal.any([work.signal, stalled.signal]);
  try {
    const describe = () =>
      `downloading the Temporal server${watch.bytes() > 0 ? `: ${Math.round(watch.bytes() / 2 ** 20)} MiB` : ''}`;
    await withProgress(work, describe, () =>
      runCommand(process.execPath, [program, staging], { signal, env: env as Record<string, string> }),
    );
  } catch (error) {
    if (stalled.signal.aborted) throw new Error(`nothing arrived for ${DOWNLOAD_STALL_MS / 1000} s`, { cause: error });
    throw new Error(innermostCause(messageOf(error)), { cause: error });
  } finally {
    watch.stop();
  }
  const name = (await readdir(staging)).find((entry) => entry.startsWith('temporal'));
  if (name === undefined) throw new Error('it ended without a file');
  return { file: path.join(staging, name) };
}

/** Calls `onStall` once the bytes in a folder have not grown for a while. */
function watchGrowth(folder: string, onStall: () => void): { bytes: () => number; stop: () => void } {
  let bytes = 0;
  let grownAt = performance.now();
  const look = async () => {
    const names = await readdir(folder).catch(() => []);
    const sizes = await Promise.all(
      names.map((name) =>
        stat(path.join(folder, name)).then(
          (entry) => entry.size,
          () => 0,
        ),
      ),
    );
    const now = sizes.reduce((sum, size) => sum + size, 0);
    if (now !== bytes) grownAt = performance.now();
    bytes = now;
    if (performance.now() - grownAt > DOWNLOAD_STALL_MS) onStall();
  };
  const timer = setInterval(() => void look(), 500);
  return { bytes: () => bytes, stop: () => clearInterval(timer) };
}

async function installWithGo({ work, env, staging }: Context): Promise<{ file: string; version: string }> {
  const options = { signal: work.signal, cwd: staging, env: env as Record<string, string> };
  const [version = '', toolchain = ''] = (await runCommand('go', ['env', 'GOVERSION', 'GOTOOLCHAIN'], options)).split(
    '\n',
  );
  const enough = toolchain.startsWith('local') ? GO_TOOLCHAIN : GO_SWITCHES_SINCE;
  if (compareVersions(version.replace(/^go/, ''), enough) < 0)
    throw new Error(`${version} is too old, ${enough} or later is needed`);
  // `go install` leaves the version out that the project's own releases have in them.
  const flags = `-s -w -X ${GO_MODULE}/temporalcli.Version=${GO_VERSION}`;
  await withProgress(
    work,
    () => `building the Temporal server ${GO_VERSION} with ${version}: some minutes, once`,
    () =>
      runCommand('go', ['install', '-ldflags', flags, `${GO_MODULE}/cmd/temporal@v${GO_VERSION}`], {
        ...options,
        env: { ...options.env, GOBIN: staging },
      }),
  );
  return { file: path.join(staging, 'temporal'), version: GO_VERSION };
}

/** The SDK's native errors are chains joined by colons, the telling part last. */
function innermostCause(message: string): string {
  return /(?:dns error: |tcp connect error: |HTTP status )[^\]\n]*/.exec(message)?.[0] ?? message;
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? text;
}
