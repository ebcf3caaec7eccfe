import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Connection } from '@temporalio/client';
import { afterAll, expect } from 'vitest';
import { openRun } from '../../src/cli/runs.js';
import { benchOfRun } from '../../src/domain/names.js';
import { connectClient, type ServerLink } from '../../src/client.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import type { Work } from '../../src/domain/work.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { identify, processesWithEnvironment, terminate, waitUntil } from '../../src/host/process.js';
import { readRunReport } from '../../src/records/artifacts.js';
import { findStack } from '../../src/stack/membership/join.js';
import { freePorts } from '../../src/stack/server/ports.js';
import { getTemporalServer } from '../../src/stack/server/temporal-server.js';
import { sealingKey } from '../../src/temporal/key.js';
import { TEST_KEY, testKey } from '../test-key.js';
import { makeFolder } from './make-folder.js';

export const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Far more than anything here takes: a test that waits so long has failed. */
export const DEADLINE_MS = 120_000;
/** For a test that waits for several such things. */
export const LONG = { timeout: 3 * DEADLINE_MS } as const;

const work: Work = { signal: new AbortController().signal, progress: () => undefined };

/** What one command printed, and how it ended: its exit status, or the signal that ended it. */
export interface Ended {
  readonly exit: number | NodeJS.Signals;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that runs: its output so far, and its end. */
export interface Running {
  readonly pid: number;
  readonly output: { readonly stdout: string; readonly stderr: string };
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Waits until it has printed something on either stream. */
  says(pattern: RegExp, deadlineMs?: number): Promise<void>;
}

/**
 * A home of its own, with a namespace on this file's Temporal server unless it is to use another.
 */
export interface Bench extends AsyncDisposable {
  readonly layout: Layout;
  /** What its commands have in their environment. */
  readonly env: NodeJS.ProcessEnv;
  /** The connection to the server and namespace that are its own. */
  readonly link: ServerLink;
  /** What a bench that is `elsewhere` is given to be on the same server and namespace. */
  readonly server: { readonly TEMPORAL_ADDRESS: string; readonly TEMPORAL_NAMESPACE: string };
  /** A new folder with these files; those that begin with `#!` are executable. */
  folder(files: Readonly<Record<string, string>>): Promise<string>;
  /** The same bench with more in the environment of its commands. */
  withEnv(more: NodeJS.ProcessEnv): Pick<Bench, 'np' | 'start'>;
  /** Where a profile's sandbox has its root, once it has one. */
  root(profile: string, deadlineMs?: number): Promise<string>;
  /** Runs `nixproof` in a folder to its end. */
  np(cwd: string, ...args: string[]): Promise<Ended>;
  start(cwd: string, ...args: string[]): Running;
  /** Starts a worker and waits until it polls. */
  worker(): Promise<Running>;
  /** One run object, as `status RUN --json` prints it, without a command's start. */
  status(run: string): Promise<RunReport>;
  /** Waits until a run has its verdict on disk, and gives it as `status` does. */
  verdictOf(run: string): Promise<RunReport>;
  /** Waits until nothing of this home runs any more, workers of `worker()` apart. */
  expectNothingLeft(): Promise<void>;
}

const opened: Bench[] = [];
let shared: Promise<RunningServer> | undefined;
// After a test that failed or never ended, too.
afterAll(async () => {
  await Promise.all(opened.map((bench) => bench[Symbol.asyncDispose]()));
  await (await shared)?.[Symbol.asyncDispose]();
}, DEADLINE_MS);

/** A name that scripts break on which do not quote the paths they are given. */
export const AWKWARD_HOME = 'ein Häus $x';

/**
 * Opens a bench; it is closed, with everything that runs in it, after the last test of the file at the latest.
 * @param server `own`: a namespace of its own; `reachable`: a server of its own that listens on
 *   every address of this host; `elsewhere`: the one that `extra` names, such as another bench's
 *   `server`
 * @param inside the command through which everything of it is run
 * @param home the name of its home
 */
export async function openBench(
  server: 'own' | 'reachable' | 'elsewhere' | 'local stack',
  extra: NodeJS.ProcessEnv = {},
  inside: readonly string[] = [],
  home = 'home',
): Promise<Bench> {
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-e2e-'));
  const layout = layoutOf(path.join(root, home));
  await mkdir(layout.home);
  const own = await { own: ownNamespace, reachable: ownServer, elsewhere: undefined, 'local stack': undefined }[
    server
  ]?.();
  if (server === 'elsewhere') await expectNamed(extra);
  const env: NodeJS.ProcessEnv = {
    ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TEMPORAL_|NIXPROOF_|VM_|CI$)/.test(name))),
    NIXPROOF_HOME: layout.home,
    NO_COLOR: '1',
    // Several homes that use one server have one key.
    ...(server === 'local stack' ? {} : { NIXPROOF_KEY_FILE: TEST_KEY }),
    ...own?.server,
    ...extra,
  };
  const workers = new Set<number>();
  let closed: Promise<void> | undefined;
  const commands = (environment: NodeJS.ProcessEnv): Pick<Bench, 'np' | 'start'> => {
    const start = (cwd: string, ...args: string[]) => {
      // A test that ran out of time may still go on: it starts nothing that nobody would end.
      if (closed) throw new Error('the bench is closed');
      const [file = '', ...rest] = [...inside, process.execPath, CLI, ...args];
      return run(file, rest, cwd, environment);
    };
    return { start, np: (cwd, ...args) => start(cwd, ...args).ended };
  };
  const { start, np } = commands(env);
  const bench: Bench = {
    layout,
    env,
    get link() {
      if (!own) throw new Error('who has no server of its own asks through the command line');
      return own.link;
    },
    get server() {
      if (!own) throw new Error('it has no server of its own');
      return own.server;
    },
    folder: (files) => makeFolder(root, files),
    start,
    np,
    withEnv: (more) => commands({ ...env, ...more }),
    root: (profile, deadlineMs) => rootOf(layout, profile, deadlineMs),
    async worker() {
      const worker = start(layout.home, 'worker');
      workers.add(worker.pid);
      await worker.says(/polls/);
      return worker;
    },
    async status(id) {
      // What is mounted for its commands alone is not seen from here.
      if (inside.length > 0) return parsed<RunReport>(await np(root, 'status', id, '--json'));
      const recorded = await readRunReport(layout.runs, id);
      if (recorded && recorded.verdict !== null) return recorded;
      await using link = own ? undefined : await linkAtHand(layout, env);
      return plain(await openRun(own?.link ?? link, id, recorded));
    },
    async verdictOf(id) {
      await reached(`the verdict of ${id}`, async () => {
        const verdict = (await readRunReport(layout.runs, id))?.verdict ?? null;
        return verdict !== null;
      });
      return bench.status(id);
    },
    async expectNothingLeft() {
      const left = async () => (await processesOf(layout)).filter(({ pid }) => !workers.has(pid));
      await waitUntil(async () => (await left()).length === 0, DEADLINE_MS, { everyMs: 250 });
      expect(await left()).toEqual([]);
      expect(await readdir(layout.machines).catch(() => [])).toEqual([]);
    },
    [Symbol.asyncDispose]: () => (closed ??= close()),
  };
  const close = async () => {
    const stack = await findStack(layout);
    if (stack) await terminate(stack.holder, 20_000);
    await Promise.all((await processesOf(layout)).map((identity) => terminate(identity, 3000)));
    await own?.[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true, maxRetries: 3 });
  };
  opened.push(bench);
  return bench;
}

async function rootOf(layout: Layout, profile: string, deadlineMs?: number): Promise<string> {
  let found: string | undefined;
  const isMade = async () => {
    const ids = await readdir(layout.machines).catch(() => []);
    found = ids.find((id) => id.replace(/(-[\da-f]+){3}$/, '') === profile);
    return found !== undefined;
  };
  await reached(`a machine for ${profile}`, isMade, deadlineMs);
  return path.join(layout.machines, found ?? '', 'root');
}

/** Between two looks at a condition that is cheap, at first. */
const PAUSE_MS = 40;
const MAX_PAUSE_MS = 1000;

/**
 * Waits for a condition; a test that waits too long says for what. Between two looks it pauses as
 * long as one takes and a twentieth of what it has waited: a condition that runs a command, and one
 * that a minute passes for, leave the cores to what they wait for.
 */
export async function reached(
  what: string,
  condition: () => Promise<boolean>,
  deadlineMs: number = DEADLINE_MS,
): Promise<void> {
  const start = performance.now();
  for (;;) {
    const began = performance.now();
    if (await condition()) return;
    const now = performance.now();
    if (now - start >= deadlineMs) throw new Error(`it never came to ${what}`);
    await delay(Math.max(PAUSE_MS, now - began, Math.min((now - start) / 20, MAX_PAUSE_MS)));
  }
}

export function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

/** The JSON document that is all a command has printed. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the caller knows what it asked for
export function parsed<T>({ stdout, stderr }: Ended): T {
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`no JSON on standard output: ${JSON.stringify(stdout)}\nstandard error: ${stderr}`);
  }
}

/** A value as JSON has it. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** The one run of a suite's JSON. */
export function onlyRun(ended: Ended): RunReport {
  const { runs } = parsed<SuiteReport>(ended);
  expect(runs).toHaveLength(1);
  return runs[0] as RunReport;
}

/** Everything of this home: commands, the stack and its workers, and what sandboxes ever started. */
async function processesOf(layout: Layout) {
  const runs = await readdir(layout.runs).catch(() => []);
  const machines = await readdir(layout.machines).catch(() => []);
  const marks = [
    ['NIXPROOF_HOME', layout.home],
    ['NIXPROOF_STACK_SERVER', layout.stack],
    ...[...new Set([...runs, ...runs.map(benchOfRun), ...machines])].map((id) => ['NIXPROOF_MACHINE', id]),
  ];
  const found = marks.map(async ([name = '', value = '']) => processesWithEnvironment(name, value));
  return (await Promise.all(found)).flat();
}

function run(file: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv): Running {
  const child = spawn(file, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = new Promise<Ended>((resolve) =>
    child.once('close', (status, signal) => resolve({ exit: signal ?? status ?? -1, ...output })),
  );
  children.add(child);
  child.once('exit', () => children.delete(child));
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  return {
    pid: child.pid ?? -1,
    output,
    ended,
    kill: (signal) => void child.kill(signal),
    async says(pattern, deadlineMs = DEADLINE_MS) {
      const said = () => pattern.test(output.stdout) || pattern.test(output.stderr);
      await waitUntil(async () => said() || hasEnded(), deadlineMs);
      if (!said()) throw new Error(`${args.join(' ')} never said ${pattern.source}: ${JSON.stringify(output)}`);
    },
  };
}

/** A test runner that ends early leaves nothing behind either. */
const children = new Set<ChildProcess>();
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** So often another port is tried where somebody takes one between its choice and its use. */
const PORT_ATTEMPTS = 5;

/** A server or a namespace on one, with the connection to it. */
interface OwnServer extends AsyncDisposable {
  readonly link: ServerLink;
  readonly server: Bench['server'];
}

interface RunningServer extends AsyncDisposable {
  readonly address: string;
}

let namespaces = 0;

/** A new namespace on the server that all benches of this file share; it goes with the server. */
async function ownNamespace(): Promise<OwnServer> {
  const { address } = await (shared ??= startServer('127.0.0.1'));
  const namespace = `bench-${++namespaces}`;
  const connection = await Connection.connect({ address });
  // The type wants a `Long` of a package that is not ours; a number is taken as well.
  const workflowExecutionRetentionPeriod = { seconds: (24 * 60 * 60) as never };
  await connection.workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
  await connection.close();
  return connected(address, namespace);
}

async function ownServer(): Promise<OwnServer> {
  const { address, ...running } = await startServer('0.0.0.0');
  return connected(address, 'default', running);
}

async function connected(address: string, namespace: string, running?: AsyncDisposable): Promise<OwnServer> {
  const link = await connectClient({ address, namespace }, await testKey());
  return {
    link,
    server: { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace },
    async [Symbol.asyncDispose]() {
      await link[Symbol.asyncDispose]();
      await running?.[Symbol.asyncDispose]();
    },
  };
}

/** A test that names the shared server without a namespace would wait for another one's workers. */
async function expectNamed(env: NodeJS.ProcessEnv): Promise<void> {
  const isShared = env['TEMPORAL_ADDRESS'] === (await shared)?.address;
  if (shared && isShared && !env['TEMPORAL_NAMESPACE']) throw new Error("give the other bench's `server`");
}

/**
 * The connection to the server that a bench's commands ask where it has none of its own; undefined
 * where its local stack does not run.
 */
async function linkAtHand(layout: Layout, env: NodeJS.ProcessEnv): Promise<ServerLink | undefined> {
  const named = env['TEMPORAL_ADDRESS'];
  const key = await sealingKey(layout, env);
  if (named) return connectClient({ address: named, namespace: env['TEMPORAL_NAMESPACE'] ?? 'default' }, key);
  const stack = await findStack(layout);
  return stack && connectClient({ address: stack.address }, key);
}

/** A Temporal dev server in memory, from the executable that the local stack uses. */
async function startServer(ip: string): Promise<RunningServer> {
  const { file } = await getTemporalServer({ work });
  const { server, port } = await listeningServer(file, ip);
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const identity = await identify(server.pid);
      if (identity) await terminate(identity);
    },
  };
}

async function listeningServer(file: string, ip: string): Promise<{ readonly server: Running; readonly port: number }> {
  for (let attempt = 1; ; attempt++) {
    const { grpc: port, metrics } = await freePorts();
    const options = ['--headless', '--ip', ip, '--port', String(port), '--metrics-port', String(metrics)];
    const server = run(file, ['server', 'start-dev', ...options, '--log-level', 'error'], tmpdir(), process.env);
    try {
      // Its own word: whoever took the port may listen there too.
      await server.says(/^Server: /m);
      return { server, port };
    } catch (error) {
      server.kill('SIGKILL');
      if (attempt === PORT_ATTEMPTS || !server.output.stderr.includes('address already in use')) throw error;
    }
  }
}
