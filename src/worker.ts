import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ApplicationFailure } from '@temporalio/common';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  makeTelemetryFilterString,
  type LogEntry,
} from '@temporalio/worker';
import { createHostActivities, createSharedActivities, type ActivityDependencies } from './activities/index.js';
import { WORKER_SHUTDOWN } from './activities/step/temporal.js';
import { connectClient } from './temporal/connection.js';
import { NixproofError, messageOf } from './domain/error.js';
import { SHARED_TASK_QUEUE, hostTaskQueue } from './domain/names.js';
import { DRIVER_NAMES } from './domain/profile.js';
import { announceHost } from './temporal/host-directory.js';
import { hostIdentity } from './host/identity.js';
import { watchSteps } from './host/step-watch/watch.js';
import { architecture } from './host/labels.js';
import type { Layout } from './host/paths.js';
import { findInstallation } from './machines/hypervisor/installation.js';
import { createRegistry } from './machines/registry.js';
import { hostCapacity } from './machines/slots.js';
import { stripTerminal } from './reports/escape.js';
import { unreachable, type ServerAddress } from './temporal/server-address.js';
import { sealingKey, type SealingKey } from './temporal/key.js';
import { sealedWorker } from './temporal/sealing.js';
import { build } from './host/version.js';
import { otherBuildsNote, workerIdentity } from './temporal/host-directory.js';

const BUNDLE = fileURLToPath(new URL('./workflow-bundle.js', import.meta.url));
/** How long a worker that is to end waits for what it does before that is handed over. */
const GRACE_MS = 500;
/**
 * How many steps a worker holds at once, above any number of machines that it could have: one that waits for its turn or for room, or
 * follows an installer, costs next to nothing, and a step that no worker takes at once is a sign of a lost host.
 */
const STEPS_AT_ONCE = 2000;
/** What the SDK holds back of heartbeats: cancellation comes back with one, so it is seldom. */
const HEARTBEAT_THROTTLE_MS = 1500;

export interface WorkerOptions {
  readonly layout: Layout;
  readonly server: ServerAddress;
  /** Ends the worker in order: what it does is handed to the next one at once. */
  readonly signal: AbortSignal;
  /** What profiles may ask of this host, beside what is found. */
  readonly labels: readonly string[];
  /** Called once, when both queues are about to be polled. */
  readonly onReady?: (hostId: string) => void;
}

/**
 * Runs a worker until `signal`: it polls the shared queue (workflows, the choice of a host) and this host's own (machines and
 * artifacts).
 * @throws NixproofError `SERVER_UNREACHABLE`, `INTERNAL_BUNDLE_MISSING`
 */
export async function runWorker({ layout, server, signal, labels: given, onReady }: WorkerOptions): Promise<void> {
  if (!existsSync(BUNDLE)) {
    throw new NixproofError('INTERNAL_BUNDLE_MISSING', `${BUNDLE} is missing`, { hint: 'run `npm run build`' });
  }
  Runtime.install({
    logger: new DefaultLogger('WARN', writeEntry),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
    shutdownSignals: [],
  });
  const hostId = await hostIdentity(layout);
  const key = await sealingKey(layout);
  const connection = await connect(server);
  try {
    const common = {
      ...sealedWorker(key),
      connection,
      namespace: server.namespace ?? 'default',
      identity: workerIdentity(hostId),
      shutdownGraceTime: GRACE_MS,
      maxConcurrentActivityTaskExecutions: STEPS_AT_ONCE,
      maxHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
      defaultHeartbeatThrottleInterval: HEARTBEAT_THROTTLE_MS,
    };
    const machines = createRegistry(layout);
    const labels = [...new Set([...given, architecture(), ...(await accelerators(signal))])];
    const dependencies = { hostId, layout, machines, labels };
    const workers = [
      await Worker.create({
        ...common,
        taskQueue: SHARED_TASK_QUEUE,
        workflowBundle: { codePath: BUNDLE },
        activities: createSharedActivities(dependencies),
      }),
      await Worker.create({
        ...common,
        taskQueue: hostTaskQueue(hostId),
        activities: createHostActivities(dependencies),
      }),
    ];
    const stop = () => workers.forEach((worker) => worker.shutdown());
    onReady?.(hostId);
    void announce({ hostId, layout, machines, labels, server, key, signal });
    const running = Promise.all(workers.map((worker) => worker.run()));
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    await using _watch = watchSteps();
    await running;
  } finally {
    await connection.close();
  }
}

/** What runs guests here at more than a tenth of the speed; nothing where QEMU is missing. */
async function accelerators(signal: AbortSignal): Promise<readonly string[]> {
  try {
    const { accelerator } = await findInstallation(signal);
    return accelerator === 'tcg' ? [] : [accelerator];
  } catch {
    return [];
  }
}

/** Where the directory cannot be told, runs are placed by whose worker takes them, as far as nobody asks for labels. */
async function announce({
  hostId,
  layout,
  machines,
  labels,
  server,
  key,
  signal,
}: ActivityDependencies & Pick<WorkerOptions, 'server' | 'signal'> & { readonly key: SealingKey }): Promise<void> {
  const work = { signal, progress: () => undefined };
  try {
    const probes = await Promise.all(
      DRIVER_NAMES.map(async (name) => ((await machines.driver(name).probe(work)).available ? [name] : [])),
    );
    const { machines: most, memoryMiB } = hostCapacity();
    await using link = await connectClient(server, key);
    const note = await otherBuildsNote(link.client).catch(() => undefined);
    if (note !== undefined) process.stderr.write(`${note}\n`);
    await announceHost(link.client, {
      host: hostId,
      labels,
      drivers: probes.flat(),
      cpus: availableParallelism(),
      machines: most,
      memoryMiB,
      version: build,
      node: process.version,
      runs: path.resolve(layout.runs),
    });
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`this host is not in the list of hosts: ${messageOf(error)}\n`);
  }
}

/** One line an entry. The queue of a host has no workflows on purpose; a handover at the worker's end is no trouble. */
function writeEntry({ level, timestampNanos, message, meta }: LogEntry): void {
  const error = meta?.['error'] instanceof Error ? meta['error'] : undefined;
  const handover = error instanceof ApplicationFailure && error.type === WORKER_SHUTDOWN;
  if (message.startsWith('No workflows registered') || handover) return;
  const at = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
  const about: unknown[] = [meta?.['workflowId'], meta?.['activityType'], error?.message].filter(
    (part) => part !== undefined,
  );
  // Others who reach the server name workflows as they like.
  process.stderr.write(`${at} ${level} ${stripTerminal([message, ...about].join(': '))}\n`);
}

async function connect(server: ServerAddress): Promise<NativeConnection> {
  try {
    return await NativeConnection.connect({ ...server.options, address: server.address });
  } catch (error) {
    throw unreachable(server, error);
  }
}
