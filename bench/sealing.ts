import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { bundleWorkflowCode, DefaultLogger, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { HostActivities } from '../src/activities/index.js';
import type { Place } from '../src/activities/place/place-run.js';
import { hostTaskQueue, SHARED_TASK_QUEUE, WORKFLOWS } from '../src/domain/names.js';
import type { RunRequest } from '../src/domain/run.js';
import { getTemporalServer } from '../src/stack/server/temporal-server.js';
import { sealedClient, sealedWorker } from '../src/temporal/sealing.js';
import { testKey } from '../test/test-key.js';
import { median } from './median.js';

/**
 * What sealing costs: the real workflows with steps that do nothing, sealed and plain, in turn on
 * one server. Prints runs per second, the size of a run's history, and both ratios.
 *
 *     npm run bench:sealing -- [RUNS [ROUNDS]]
 */

const runs = Number(process.argv[2] ?? 100);
const rounds = Number(process.argv[3] ?? 3);
const built = (file: string) => fileURLToPath(new URL(`../dist/${file}`, import.meta.url));
const HOST = 'one';

interface Side {
  readonly name: 'sealed' | 'plain';
  readonly client: Client;
  readonly workers: readonly Worker[];
}

const nothing = () => Promise.resolve();
const place: Place = { host: HOST, taskQueue: hostTaskQueue(HOST), artifacts: '/runs' };
const outcome: Awaited<ReturnType<HostActivities['followInstaller']>> = {
  end: { kind: 'exited', exitCode: 0 },
  startedAt: 0,
  endedAt: 100,
  phases: ['PARTITION', 'FORMAT', 'COPY', 'BOOT'].map((name, at) => ({ name, at })),
  errors: [],
  tail: Array.from({ length: 20 }, (_, offset) => ({ text: `line ${offset} of the log`, offset })),
  log: { bytes: 100, lines: 20, sha256: '', verified: true },
  barrier: 1,
  checkpoints: [],
};
const STEPS = {
  cloneMachine: () => Promise.resolve({ detail: 'a machine' }),
  deploy: () => Promise.resolve({ files: 0, bytes: 0 }),
  injectFaults: () => Promise.resolve([]),
  startInstaller: nothing,
  followInstaller: () => Promise.resolve(outcome),
  restartInstalled: () => Promise.resolve({ booted: true }),
  verify: () => Promise.resolve([]),
  collect: nothing,
  writeReports: nothing,
  releaseMachine: nothing,
};

function requestOf(run: string): RunRequest {
  const install = { kind: 'script', run: 'true', timeoutMs: 60_000, stallMs: 60_000, reboot: true, env: {} };
  const healing = { policy: 'never', threshold: 0.5, max: 0, askMs: 0, heals: [] };
  const profile = { name: 'one', install, deploy: { from: '/', to: '/root', exclude: [] }, checks: [], healing };
  return { run, suite: 'suite-bench', driver: 'sandbox', keep: 'never', searchAttributes: false, profile } as never;
}

async function openSide(
  name: Side['name'],
  { connection, nativeConnection }: TestWorkflowEnvironment,
  how: {
    readonly client: object;
    readonly worker: Partial<WorkerOptions>;
    readonly bundle: WorkerOptions['workflowBundle'];
  },
): Promise<Side> {
  const workflowExecutionRetentionPeriod = { seconds: (24 * 60 * 60) as never };
  await connection.workflowService.registerNamespace({ namespace: name, workflowExecutionRetentionPeriod });
  const common = { connection: nativeConnection, namespace: name, ...how.worker };
  const workers = [
    await Worker.create({
      ...common,
      taskQueue: SHARED_TASK_QUEUE,
      workflowBundle: how.bundle as NonNullable<WorkerOptions['workflowBundle']>,
      activities: { acquireMachine: () => Promise.resolve(place) },
    }),
    await Worker.create({ ...common, taskQueue: hostTaskQueue(HOST), activities: STEPS }),
  ];
  return { name, client: new Client({ connection, namespace: name, ...how.client }), workers };
}

/** Runs all of a round at once; gives runs per second and the mean size of their histories. */
async function round({ client }: Side): Promise<{ readonly rate: number; readonly bytes: number }> {
  const since = performance.now();
  const handles = await Promise.all(
    Array.from({ length: runs }, () => {
      const run = `bench-${randomUUID()}`;
      return client.workflow.start(WORKFLOWS.run, {
        workflowId: run,
        taskQueue: SHARED_TASK_QUEUE,
        args: [requestOf(run)],
      });
    }),
  );
  await Promise.all(handles.map((handle) => handle.result()));
  const rate = (runs * 1000) / (performance.now() - since);
  const sizes = await Promise.all(handles.map(async (handle) => (await handle.describe()).historySize ?? 0));
  return { rate, bytes: sizes.reduce((sum, size) => sum + size, 0) / runs };
}

Runtime.install({ logger: new DefaultLogger('ERROR') });
const work = { signal: new AbortController().signal, progress: (message: string) => console.error(message) };
const { file } = await getTemporalServer({ work });
const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'existing-path', path: file } },
});
const key = await testKey();
const plainBundle = await bundleWorkflowCode({
  workflowsPath: built('workflows/index.js'),
  logger: new DefaultLogger('ERROR'),
});
const sealed = await openSide('sealed', environment, {
  client: sealedClient(key),
  worker: sealedWorker(key),
  bundle: { codePath: built('workflow-bundle.js') },
});
const plain = await openSide('plain', environment, { client: {}, worker: {}, bundle: plainBundle });
const running = [sealed, plain].flatMap(({ workers }) => workers.map((worker) => worker.run()));
const measured = { sealed: [] as { rate: number; bytes: number }[], plain: [] as { rate: number; bytes: number }[] };
for (const side of [plain, sealed]) await round(side);
for (let number = 0; number < rounds; number++) {
  for (const side of number % 2 === 0 ? [plain, sealed] : [sealed, plain]) measured[side.name].push(await round(side));
}
const of = (name: Side['name'], what: 'rate' | 'bytes') => median(measured[name].map((one) => one[what]));
for (const name of ['plain', 'sealed'] as const)
  console.log(
    `${name}: ${of(name, 'rate').toFixed(1)} runs/s, ${Math.round(of(name, 'bytes'))} bytes of history a run`,
  );
console.log(
  `sealed / plain: ${(of('sealed', 'rate') / of('plain', 'rate')).toFixed(2)} of the runs/s, ${(of('sealed', 'bytes') / of('plain', 'bytes')).toFixed(2)} of the bytes`,
);
for (const { workers } of [sealed, plain]) workers.forEach((worker) => worker.shutdown());
await Promise.all(running);
await environment.teardown();
