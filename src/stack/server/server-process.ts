import { leastEnvironment } from '../../host/least-environment.js';
import { rm } from 'node:fs/promises';
import { messageOf } from '../../domain/error.js';
import { connectClient, type ServerLink } from '../../temporal/connection.js';
import type { Work } from '../../domain/work.js';
import { readJson, writeJson } from '../../host/files.js';
import { terminate } from '../../host/process.js';
import type { SealingKey } from '../../temporal/key.js';
import { startChild, type Child } from './child.js';
import { logTail } from './logs.js';
import { withProgress } from './with-progress.js';
import { freePorts, isListening, LOOPBACK, type Ports } from './ports.js';
import type { StackFiles } from '../stack-files.js';
import { classifyStartFailure, startFailed, type StartFacts } from './start-failure.js';
import type { ServerExecutable } from './temporal-server.js';
import { guardUi, hiddenLoopback, type UiGuard } from './ui-guard.js';

/** Marks a server's environment with the folder it serves: how one is found whose holder died before it wrote down its pid. */
export const SERVER_MARK = 'NIXPROOF_STACK_SERVER';
const READY_DEADLINE_MS = 60_000;
const PORT_ATTEMPTS = 5;

/** `last-start.json`: written whenever a server has become ready. */
export interface LastStart {
  /** Taken again where they are free, so that addresses stay good. */
  readonly ports: Ports;
  /** The port under which the UI is reached. */
  readonly uiPort: number;
  /** What last wrote the database. */
  readonly version: string;
  /** The id of the key that what is in the database is sealed with. */
  readonly key: string;
}

/** A server that answers, with its namespace and our search attributes. */
export interface RunningServer {
  readonly child: Child;
  readonly where: Where;
  readonly address: string;
  readonly ui: UiGuard;
  readonly uiUrl: string;
  readonly link: ServerLink;
}

/** Where one server listens. */
export interface Where {
  readonly ports: Ports;
  /** Of its UI: see ui-guard.ts. */
  readonly uiHost: string;
}

/** Starts one server process and does not wait for it. */
export async function startServerProcess(
  files: StackFiles,
  executable: ServerExecutable,
  where: Where,
): Promise<Child> {
  return startChild({
    argv: [executable.file, ...serverArguments(files, where)],
    cwd: files.folder,
    // It needs no secret of who started it.
    env: leastEnvironment({ [SERVER_MARK]: files.folder }),
    log: files.serverLog,
    parentPipe: false,
    outlivesUs: false,
  });
}

/** WAL and fewer syncs: with the default pragmas the same work takes three times as long. */
function serverArguments(files: StackFiles, { ports, uiHost }: Where): string[] {
  const options = {
    ip: LOOPBACK,
    port: ports.grpc,
    'http-port': ports.http,
    'ui-ip': uiHost,
    'ui-port': ports.ui,
    'metrics-port': ports.metrics,
    'db-filename': files.database,
    'log-level': 'warn',
    'log-format': 'json',
  };
  // The HTTP API has no switch. It answers for allowed hosts only, and its own parser refuses this
  // one.
  const noHttp = ['--dynamic-config-value', 'frontend.httpAllowedHosts=["no host"]'];
  const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => ['--sqlite-pragma', pragma]);
  return [
    'server',
    'start-dev',
    ...Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
    ...noHttp,
    ...pragmas,
  ];
}

/** The settings of a user's Temporal elsewhere (address, key, profile) are not for our own server and worker. */
export function withoutTemporal(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}

/**
 * Starts the server, on the last start's ports where they are free, and resolves when it is ready. `onStart` is told of every
 * process at once.
 * @throws NixproofError `SERVER_START_FAILED`, `SERVER_DATABASE_UNUSABLE`, each with the end of the server's log
 */
export async function startServer(
  files: StackFiles,
  executable: ServerExecutable,
  key: SealingKey,
  work: Work,
  onStart: (child: Child) => Promise<void>,
): Promise<RunningServer> {
  const last = await readJson<LastStart>(files.last);
  let mayBeHalfMade = last === undefined;
  for (let attempt = 1; ; attempt++) {
    const ports = await freePorts(attempt === 1 ? last?.ports : undefined);
    const where = { ports, uiHost: hiddenLoopback() };
    const child = await startServerProcess(files, executable, where);
    await onStart(child);
    const outcome = await whenReady(child, ports, key, work);
    if ('link' in outcome) {
      const ui = await guardUi({ host: where.uiHost, port: ports.ui }, last?.uiPort);
      const kept: LastStart = { ports, uiPort: ui.port, version: executable.version, key: key.id };
      await writeJson(files.last, kept);
      const uiUrl = `http://${LOOPBACK}:${ui.port}`;
      return { child, where, address: addressOf(ports), ui, uiUrl, link: outcome.link };
    }
    const tail = await logTail(files.serverLog, { offset: child.logOffset });
    const facts: StartFacts = {
      kind: classifyStartFailure(tail),
      how: outcome.how,
      logTail: tail,
      logFile: files.serverLog,
      database: files.database,
      version: executable.version,
      writtenBy: last?.version,
    };
    if (facts.kind === 'port-taken' && attempt < PORT_ATTEMPTS) continue;
    if (facts.kind !== 'database' || !mayBeHalfMade) throw startFailed(facts);
    // No server was ever ready on it: a first start that was killed while it made the tables.
    mayBeHalfMade = false;
    await removeDatabase(files);
  }
}

async function whenReady(
  child: Child,
  ports: Ports,
  key: SealingKey,
  work: Work,
): Promise<{ link: ServerLink } | { how: string }> {
  const over = new AbortController();
  const ended = child.ended.then((how) => ({ how }));
  const describe = () => 'starting the local Temporal server';
  try {
    return await withProgress(work, describe, () =>
      Promise.race([ended, untilLinked(ports, key, AbortSignal.any([over.signal, work.signal]))]),
    );
  } catch (error) {
    await terminate(child.identity);
    work.signal.throwIfAborted();
    return { how: messageOf(error) };
  } finally {
    over.abort();
  }
}

async function untilLinked(ports: Ports, key: SealingKey, signal: AbortSignal): Promise<{ link: ServerLink }> {
  const end = performance.now() + READY_DEADLINE_MS;
  let last = 'it does not listen';
  while (performance.now() < end) {
    signal.throwIfAborted();
    // A client that is refused waits a second before it tries again; looking at the port first does not.
    if (await isListening(ports.grpc)) {
      try {
        return { link: await linkWithAttributes(addressOf(ports), key) };
      } catch (error) {
        last = messageOf(error);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
  throw new Error(`not ready within ${READY_DEADLINE_MS / 1000} s: ${last}`);
}

async function linkWithAttributes(address: string, key: SealingKey): Promise<ServerLink> {
  const link = await connectClient({ address }, key);
  if (link.searchAttributes) return link;
  await link[Symbol.asyncDispose]();
  throw new Error('the namespace does not take our search attributes yet');
}

function addressOf(ports: Ports): string {
  return `${LOOPBACK}:${ports.grpc}`;
}

async function removeDatabase(files: StackFiles): Promise<void> {
  await Promise.all(['', '-wal', '-shm'].map((suffix) => rm(`${files.database}${suffix}`, { force: true })));
}
