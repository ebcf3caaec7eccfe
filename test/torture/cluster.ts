import { execa } from 'execa';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { waitUntil } from '../../src/host/process.js';
import { cacheDirectory } from '../../src/host/paths.js';

/** The one inside of the development server that is used (`temporal --version`). */
const VERSION = 'v1.29.1';
const DEADLINE_MS = 120_000;
const USER = 'temporal';
/** Only ever inside of a network of its own: the defaults of both. */
export const CLUSTER_PORTS = {
  database: 5432,
  frontend: 7233,
  http: 7243,
  matching: 7235,
  history: 7234,
  worker: 7239,
  metrics: 8000,
} as const;
const MEMBERSHIP = { frontend: 6933, history: 6934, matching: 6935, worker: 6939 } as const;
export const clusterPorts: readonly number[] = [...Object.values(CLUSTER_PORTS), ...Object.values(MEMBERSHIP)];

/**
 * Temporal's server and its tool for databases, built from its Go module where they are not in the cache, and PostgreSQL's programs.
 * @throws Error where PostgreSQL is not installed
 */
export async function clusterPrograms(): Promise<{ server: string; sql: string; postgres: string }> {
  const postgres = await postgresPrograms();
  const bin = path.join(cacheDirectory(), 'tools', `temporal-server-${VERSION}`);
  const programs = { server: path.join(bin, 'server'), sql: path.join(bin, 'sql') };
  const modules = { server: 'go.temporal.io/server/cmd/server', sql: 'go.temporal.io/server/cmd/tools/sql' };
  for (const name of ['server', 'sql'] as const) {
    if (existsSync(programs[name])) continue;
    console.error(`building Temporal's ${name} ${VERSION}: some minutes, once`);
    await execa('go', ['install', `${modules[name]}@${VERSION}`], { env: { GOBIN: bin } });
  }
  return { ...programs, postgres };
}

/** The folder of the newest PostgreSQL's programs, where Debian has it. @throws Error where there is none */
export async function postgresPrograms(): Promise<string> {
  const root = '/usr/lib/postgresql';
  const newest = (await readdir(root).catch(() => [])).sort((a, b) => Number(b) - Number(a))[0];
  if (newest === undefined) throw new Error('Debian’s package postgresql is not installed');
  return path.join(root, newest, 'bin');
}

/** A PostgreSQL with Temporal's databases, and the configuration of a server on it. Disposing stops the database. */
export interface Cluster extends AsyncDisposable {
  /** The server's command. */
  readonly command: readonly string[];
  /** Stops the database at once, as a crash does, and starts it again. */
  restartDatabase(): Promise<void>;
  /** Registers the namespace that is used; the server is up. */
  registerNamespace(temporal: string): Promise<void>;
}

export async function openCluster(root: string): Promise<Cluster> {
  const { server, sql, postgres } = await clusterPrograms();
  const folder = path.join(root, 'postgres');
  // PostgreSQL does not run as root.
  const asPostgres =
    process.getuid?.() === 0 ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : [];
  const pg = (program: string, ...args: string[]) => {
    const [file = '', ...rest] = [...asPostgres, path.join(postgres, program), ...args];
    return execa(file, rest, { cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  };
  await chmod(root, 0o755);
  await mkdir(folder);
  if (asPostgres.length > 0) await execa('chown', ['postgres:', folder]);
  const data = path.join(folder, 'data');
  await pg('initdb', '--pgdata', data, '--username', USER, '--auth', 'trust', '--encoding', 'UTF8', '--no-locale');
  const log = path.join(folder, 'log');
  const stop = () => pg('pg_ctl', '--pgdata', data, '--mode', 'immediate', '--wait', 'stop');
  const start = () =>
    pg('pg_ctl', '--pgdata', data, '--log', log, '--options', `-k ${folder} -h 127.0.0.1`, '--wait', 'start');
  await start();
  for (const [database, schema] of [
    ['temporal', 'temporal'],
    ['temporal_visibility', 'visibility'],
  ] as const) {
    const tool = (...args: string[]) =>
      execa(sql, [
        '--pl',
        'postgres12',
        '--ep',
        '127.0.0.1',
        '--port',
        String(CLUSTER_PORTS.database),
        '--user',
        USER,
        '--db',
        database,
        ...args,
      ]);
    await tool('create');
    await tool('setup-schema', '-v', '0.0');
    await tool('update-schema', '--schema-name', `postgresql/v12/${schema}`);
  }
  const config = path.join(root, 'temporal');
  await mkdir(config);
  // YAML's flow style is JSON.
  await writeFile(
    path.join(config, 'torture.yaml'),
    JSON.stringify(configuration(path.join(config, 'dynamic.yaml')), undefined, 2),
  );
  await writeFile(path.join(config, 'dynamic.yaml'), '{}\n');
  return {
    command: [server, '--root', config, '--config', '.', '--env', 'torture', '--allow-no-auth', 'start'],
    async restartDatabase() {
      await stop();
      await start();
    },
    async registerNamespace(temporal) {
      const address = `127.0.0.1:${CLUSTER_PORTS.frontend}`;
      const create = ['operator', 'namespace', 'create', '--namespace', 'default', '--address', address];
      const registered = async () => (await execa(temporal, create, { reject: false })).exitCode === 0;
      if (!(await waitUntil(registered, DEADLINE_MS, { everyMs: 1000 }))) throw new Error('there is no namespace');
    },
    async [Symbol.asyncDispose]() {
      await stop();
    },
  };
}

/** Temporal's server with every service in one process, four shards. */
function configuration(dynamic: string): object {
  const store = (databaseName: string, maxConns: number) => ({
    sql: {
      pluginName: 'postgres12',
      databaseName,
      connectAddr: `127.0.0.1:${CLUSTER_PORTS.database}`,
      connectProtocol: 'tcp',
      user: USER,
      password: USER,
      maxConns,
      maxIdleConns: maxConns,
      maxConnLifetime: '1h',
    },
  });
  const service = (name: keyof typeof MEMBERSHIP) => ({
    rpc: {
      grpcPort: CLUSTER_PORTS[name],
      membershipPort: MEMBERSHIP[name],
      bindOnLocalHost: true,
      ...(name === 'frontend' ? { httpPort: CLUSTER_PORTS.http } : {}),
    },
  });
  return {
    log: { stdout: true, level: 'error' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: 4,
      datastores: { default: store('temporal', 20), visibility: store('temporal_visibility', 5) },
    },
    global: {
      membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' },
      metrics: {
        prometheus: { framework: 'tally', timerType: 'histogram', listenAddress: `127.0.0.1:${CLUSTER_PORTS.metrics}` },
      },
    },
    services: Object.fromEntries(
      (['frontend', 'matching', 'history', 'worker'] as const).map((name) => [name, service(name)]),
    ),
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `127.0.0.1:${CLUSTER_PORTS.frontend}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    dynamicConfigClient: { filepath: dynamic, pollInterval: '10s' },
  };
}
