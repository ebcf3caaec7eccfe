import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sealingKey } from '../../src/temporal/key.js';
import { connectClient, type ServerLink } from '../../src/client.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { waitUntil } from '../../src/host/process.js';
import { freePorts, isListening } from '../../src/stack/server/ports.js';
import { getTemporalServer } from '../../src/stack/server/temporal-server.js';
import type { OwnNetwork } from '../e2e/own-network.js';
import { CLUSTER_PORTS, clusterPorts, openCluster, type Cluster } from './cluster.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const DEADLINE_MS = 120_000;

/** A home with a Temporal server and several workers, each a process that faults may happen to. */
export interface Arena extends AsyncDisposable {
  readonly layout: Layout;
  /** The home of the host behind a cable; there is none unless one was asked for. */
  readonly farLayout?: Layout;
  /** Where installers and heals write down that they ran. */
  readonly records: string;
  /** What is deployed. */
  readonly deploy: string;
  readonly address: string;
  /** Every port of the server and its database. */
  readonly serverPorts: readonly number[];
  readonly link: ServerLink;
  readonly server: Service;
  /** Set where the server is on PostgreSQL. */
  readonly cluster?: Cluster;
  /** Starts one worker more. */
  startWorker(env?: Readonly<Record<string, string>>, host?: 'near' | 'far'): ChildProcess;
}

/** What is started, killed and started again. */
export interface Service {
  /** Resolves when it listens. */
  start(): Promise<void>;
  kill(): Promise<void>;
}

export interface ArenaOptions {
  /** An empty folder that is its caller's; one of its own unless given. */
  readonly root?: string;
  readonly server?: 'file' | 'postgres';
  /** Where another host's workers are to be. */
  readonly far?: OwnNetwork;
}

/** Opens a home with a server and so many workers. */
export async function openArena(workers: number, options: ArenaOptions = {}): Promise<Arena> {
  const root = options.root ?? (await mkdtemp(path.join(tmpdir(), 'nixproof-arena-')));
  const layout = layoutOf(path.join(root, 'home'));
  const [records, deploy] = [path.join(root, 'records'), path.join(root, 'deploy')];
  const farLayout = options.far && layoutOf(path.join(root, 'far-home'));
  for (const folder of [layout.home, records, deploy, ...(farLayout ? [farLayout.home] : [])])
    await mkdir(folder, { recursive: true });
  await writeFile(path.join(deploy, 'README'), 'deployed\n');
  const { file } = await getTemporalServer({
    work: { signal: new AbortController().signal, progress: () => undefined },
  });
  const children = new Set<ChildProcess>();
  const cluster = options.server === 'postgres' ? await openCluster(root) : undefined;
  const ports = await freePorts();
  const grpc = cluster ? CLUSTER_PORTS.frontend : ports.grpc;
  const address = `127.0.0.1:${grpc}`;
  const ofArena = { ...process.env, NIXPROOF_HOME: layout.home, TEMPORAL_ADDRESS: address, NO_COLOR: '1' };

  const start = (
    command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    log?: number,
  ) => {
    const stdio: StdioOptions = log === undefined ? 'ignore' : ['ignore', log, log];
    const child = spawn(command, args, { cwd: root, env: { ...ofArena, ...env }, stdio });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };
  const listenAt = options.far ? '0.0.0.0' : '127.0.0.1';
  const command = cluster?.command ?? [file, ...devServerOptions(root, listenAt, ports)];
  const serverLog = await open(path.join(root, 'server.log'), 'a', 0o600);
  let running: ChildProcess | undefined;
  const server: Service = {
    async start() {
      const [program = '', ...args] = command;
      // One that ends because its database is away is started once more, as its supervisor does.
      const up = async () => {
        if (!running || hasEnded(running)) running = start(program, args, {}, serverLog.fd);
        return isListening(grpc);
      };
      if (await waitUntil(up, DEADLINE_MS, { everyMs: 250 })) return;
      const printed = await readFile(path.join(root, 'server.log'), 'utf8');
      throw new Error(`the server never came up:\n${printed.slice(-2000)}`);
    },
    async kill() {
      if (running) await end(running, 'SIGKILL');
    },
  };
  await server.start();
  await cluster?.registerNamespace(file);
  const key = await sealingKey(layout);
  const link = await connectClient({ address }, key);
  const startWorker: Arena['startWorker'] = (env, host = 'near') => {
    const worker = [process.execPath, CLI, 'worker'];
    if (host === 'near' || !options.far || !farLayout) return start(worker[0] ?? '', worker.slice(1), env);
    const [program = '', ...args] = [...options.far.inside, ...worker];
    const farAway = {
      NIXPROOF_HOME: farLayout.home,
      NIXPROOF_KEY_FILE: key.file,
      TEMPORAL_ADDRESS: `${options.far.outside}:${grpc}`,
    };
    return start(program, args, { ...env, ...farAway });
  };
  for (let worker = 0; worker < workers; worker++) startWorker();
  return {
    layout,
    ...(farLayout ? { farLayout } : {}),
    records,
    deploy,
    address,
    serverPorts: cluster ? clusterPorts : [ports.grpc, ports.metrics],
    link,
    server,
    ...(cluster ? { cluster } : {}),
    startWorker,
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await Promise.all([...children].map((child) => end(child, 'SIGKILL')));
      await cluster?.[Symbol.asyncDispose]();
      await serverLog.close();
      if (options.root === undefined) await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The development server on a database file. */
function devServerOptions(root: string, ip: string, { grpc, metrics }: { grpc: number; metrics: number }): string[] {
  const options = [
    '--headless',
    '--ip',
    ip,
    '--port',
    String(grpc),
    '--metrics-port',
    String(metrics),
    '--log-level',
    'never',
  ];
  const database = ['--db-filename', path.join(root, 'temporal.db')];
  const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => ['--sqlite-pragma', pragma]);
  return ['server', 'start-dev', ...options, ...database, ...pragmas];
}

/** Sends a process a signal and waits for its end. */
export function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  return new Promise((resolve) => {
    if (hasEnded(child)) resolve();
    else child.once('exit', () => resolve()).kill(signal);
  });
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}
