import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { connectClient, type ServerLink } from '../../src/client.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { processesWithEnvironment, signalIfThere, waitUntil } from '../../src/host/process.js';
import { freePorts, isListening } from '../../src/stack/ports.js';
import { getTemporalServer } from '../../src/stack/temporal-server.js';
import type { PlannedFault } from './plan.js';

const CLI = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const DEADLINE_MS = 120_000;

/** A home with a Temporal server on a database file and several workers, each a process that faults happen to. */
export interface Arena extends AsyncDisposable {
  readonly layout: Layout;
  readonly records: string;
  readonly deploy: string;
  readonly address: string;
  readonly link: ServerLink;
  /** Does what the plan says, and mends it after its time. */
  suffer(fault: PlannedFault): Promise<void>;
  killGuest(run: string): Promise<void>;
  /** Waits for what was stopped or is being started again. */
  settle(): Promise<void>;
}

export async function openArena(workers: number): Promise<Arena> {
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-torture-'));
  const layout = layoutOf(path.join(root, 'home'));
  const [records, deploy] = [path.join(root, 'records'), path.join(root, 'deploy')];
  for (const folder of [layout.home, records, deploy]) await mkdir(folder, { recursive: true });
  await writeFile(path.join(deploy, 'README'), 'deployed\n');
  const work = { signal: new AbortController().signal, progress: () => undefined };
  const { file } = await getTemporalServer({ work });
  const ports = await freePorts();
  const address = `127.0.0.1:${ports.grpc}`;
  const children = new Set<ChildProcess>();
  const pending = new Set<Promise<void>>();
  const ofArena = { ...process.env, NIXPROOF_HOME: layout.home, TEMPORAL_ADDRESS: address, NO_COLOR: '1' };

  const start = (command: string, args: readonly string[]) => {
    const child = spawn(command, args, { cwd: root, env: ofArena, stdio: 'ignore' });
    children.add(child);
    child.once('exit', () => children.delete(child));
    return child;
  };
  const startServer = async () => {
    const options = ['--headless', '--port', String(ports.grpc), '--metrics-port', String(ports.metrics)];
    const database = ['--db-filename', path.join(root, 'temporal.db')];
    const pragmas = ['journal_mode=WAL', 'synchronous=NORMAL'].flatMap((pragma) => ['--sqlite-pragma', pragma]);
    server = start(file, ['server', 'start-dev', ...options, ...database, ...pragmas, '--log-level', 'never']);
    if (!(await waitUntil(() => isListening(ports.grpc), DEADLINE_MS))) throw new Error('the server never came back');
  };
  const startWorker = () => start(process.execPath, [CLI, 'worker']);
  const end = (child: ChildProcess, signal: NodeJS.Signals) =>
    new Promise<void>((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) resolve();
      else child.once('exit', () => resolve()).kill(signal);
    });
  const later = (step: Promise<void>) => {
    pending.add(step);
    return step.finally(() => pending.delete(step));
  };

  let server: ChildProcess | undefined;
  let serverIsDown = false;
  await startServer();
  const link = await connectClient({ address });
  const slots = Array.from({ length: workers }, startWorker);

  const faults: { readonly [K in PlannedFault['kind']]: (fault: PlannedFault & { kind: K }) => Promise<void> } = {
    'kill-worker': async ({ worker }) => {
      const victim = slots[worker];
      if (victim) await end(victim, 'SIGKILL');
      slots[worker] = startWorker();
    },
    'end-worker': async ({ worker }) => {
      const victim = slots[worker];
      slots[worker] = startWorker();
      // One that is stopped ends when it may go on.
      if (victim) await end(victim, 'SIGTERM');
    },
    'stop-worker': async ({ worker, forMs }) => {
      const victim = slots[worker];
      victim?.kill('SIGSTOP');
      await new Promise((resolve) => setTimeout(resolve, forMs));
      victim?.kill('SIGCONT');
    },
    'kill-server': async ({ forMs }) => {
      if (!server || serverIsDown) return;
      serverIsDown = true;
      await end(server, 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, forMs));
      await startServer();
      serverIsDown = false;
    },
  };
  return {
    layout,
    records,
    deploy,
    address,
    link,
    suffer: (fault) => later((faults[fault.kind] as (fault: PlannedFault) => Promise<void>)(fault)),
    async killGuest(run) {
      for (const { pid } of await processesWithEnvironment('NIXPROOF_MACHINE', run)) signalIfThere(pid, 'SIGKILL');
    },
    async settle() {
      await Promise.allSettled(pending);
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(pending);
      await link[Symbol.asyncDispose]();
      await Promise.all([...children].map((child) => end(child, 'SIGKILL')));
      await rm(root, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
