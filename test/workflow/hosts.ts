import { fileURLToPath } from 'node:url';
import { Context } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import type { HostActivities, SharedActivities } from '../../src/activities/index.js';
import type { Place } from '../../src/activities/place/place-run.js';
import { hostTaskQueue, QUERIES, SHARED_TASK_QUEUE, WORKFLOWS } from '../../src/domain/names.js';
import type { AttemptOutcome } from '../../src/domain/attempt.js';
import type { Candidate } from '../../src/domain/heal.js';
import type { RunReport, RunRequest } from '../../src/domain/run.js';
import { sealedWorker } from '../../src/temporal/sealing.js';
import { testKey } from '../test-key.js';
import { openBench, type Bench } from '../e2e/bench.js';

Runtime.install({ logger: new DefaultLogger('ERROR') });
const BUNDLE = fileURLToPath(new URL('../../dist/workflow-bundle.js', import.meta.url));

/** A host without machines: its steps answer at once, as if all went well. */
export interface Host {
  /** What it was asked to do, in order: `releaseMachine keep`, `applyHeal RUN-h2` … */
  readonly did: readonly string[];
  /** Takes no more steps. Resolves when it is gone; a step of its own must not wait for that. */
  readonly leave: () => Promise<void>;
}

export type Steps = { [S in keyof HostActivities]?: HostActivities[S] };

/** A Temporal server, the real workflows, and hosts as a test wants them. */
export interface Ground extends AsyncDisposable {
  readonly bench: Bench;
  /** @param steps that go otherwise than well */
  host(id: string, steps?: Steps): Promise<Host>;
  /** Starts a run. @param place answers where it is to be, as `acquireMachine` */
  begin(request: Partial<RunRequest>, place: SharedActivities['acquireMachine']): Promise<Going>;
}

export interface Going {
  readonly run: string;
  /** Its report once it has ended. */
  readonly ended: () => Promise<RunReport>;
}

export const succeeded: AttemptOutcome = {
  end: { kind: 'exited', exitCode: 0 },
  startedAt: 0,
  endedAt: 100,
  phases: [{ name: 'FORMAT', at: 0 }],
  errors: [],
  tail: [],
  log: { bytes: 100, lines: 10, sha256: '', verified: true },
  barrier: 1,
  checkpoints: [],
};

/** Failed, on a machine that can go back to its first phase. */
export const checkpointed: AttemptOutcome = {
  ...succeeded,
  end: { kind: 'exited', exitCode: 1 },
  checkpoints: [{ name: 'a1-p1', barrier: 1, takenAt: 0, tookMs: 1, bytes: 1 }],
};

export function candidate(name: string): Candidate {
  const plan = { commands: [], undo: [], edits: [], resume: 'phase' } as const;
  return { name, class: 'disk.busy', title: name, confidence: 0.9, seen: { worked: 0, notWorked: 0 }, plan };
}

/** A step that goes on until it is cancelled. */
export async function endless(): Promise<never> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 200);
  return context.cancelled.finally(() => clearInterval(beat));
}

const nothing = () => Promise.resolve();
const WELL: HostActivities = {
  cloneMachine: () => Promise.resolve({ detail: 'a machine' }),
  deploy: () => Promise.resolve({ files: 0, bytes: 0 } as never),
  injectFaults: () => Promise.resolve([]),
  startInstaller: nothing,
  followInstaller: () => Promise.resolve(succeeded),
  planHeals: () => Promise.resolve([]),
  applyHeal: () => Promise.resolve({ ok: true, said: '', files: 0 }),
  forkMachine: () => Promise.resolve([]),
  undoHeal: nothing,
  restartInstalled: () => Promise.resolve({ booted: true }),
  verify: () => Promise.resolve([]),
  collect: nothing,
  writeReports: nothing,
  releaseMachine: nothing,
};

export const placeOn = (host: string): Place => ({
  host,
  taskQueue: hostTaskQueue(host),
  artifacts: `/runs of ${host}`,
});

export async function openGround(): Promise<Ground> {
  const bench = await openBench('own');
  const connection = await NativeConnection.connect({ address: bench.link.address });
  const key = await testKey();
  const places = new Map<string, SharedActivities['acquireMachine']>();
  const running: { readonly worker: Worker; readonly gone: Promise<void> }[] = [];
  const start = async (options: Omit<Parameters<typeof Worker.create>[0], 'connection'>) => {
    const worker = await Worker.create({
      connection,
      namespace: bench.link.namespace,
      ...sealedWorker(key),
      ...options,
    });
    const leave = () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      return gone;
    };
    const gone = worker.run();
    running.push({ worker, gone });
    return leave;
  };
  await start({
    taskQueue: SHARED_TASK_QUEUE,
    workflowBundle: { codePath: BUNDLE },
    activities: {
      acquireMachine: ((request, loss) => {
        const place = places.get(request.run);
        if (!place) throw new Error(`nobody began ${request.run}`);
        return place(request, loss);
      }) satisfies SharedActivities['acquireMachine'],
    },
  });
  return {
    bench,
    async host(id, steps = {}) {
      const did: string[] = [];
      type Step = (request: RunRequest, ...rest: unknown[]) => Promise<unknown>;
      const activities = Object.entries({ ...WELL, ...steps } as Record<string, Step>).map(([name, step]) => {
        const noted: Step = (request, ...rest) => {
          const fate = name === 'releaseMachine' ? [rest[0]] : [];
          did.push([name, ...fate, ...(request.machine === undefined ? [] : [request.machine])].join(' '));
          return step(request, ...rest);
        };
        return [name, noted] as const;
      });
      const leave = await start({ taskQueue: hostTaskQueue(id), activities: Object.fromEntries(activities) });
      return { did, leave };
    },
    async begin(more, place) {
      const request = requestOf(more);
      places.set(request.run, place);
      const handle = await bench.link.client.workflow.start(WORKFLOWS.run, {
        workflowId: request.run,
        taskQueue: SHARED_TASK_QUEUE,
        args: [request],
      });
      return {
        run: request.run,
        async ended() {
          await handle.result();
          return handle.query<RunReport>(QUERIES.report);
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const { worker } of running) if (worker.getState() === 'RUNNING') worker.shutdown();
      await Promise.all(running.map(({ gone }) => gone));
      await connection.close();
      await bench[Symbol.asyncDispose]();
    },
  };
}

export function requestOf(more: Partial<RunRequest>): RunRequest {
  const limits = { timeoutMs: 60_000, stallMs: 60_000, reboot: true, env: {} };
  return {
    run: 'one-20261128-000000-0000',
    suite: 'suite-20261128-000000-0000',
    driver: 'sandbox',
    keep: 'never',
    searchAttributes: false,
    profile: {
      name: 'one',
      install: { kind: 'script', run: 'true', ...limits },
      deploy: { from: '/', to: '/root', exclude: [] },
      checks: [],
      healing: { policy: 'race', threshold: 0.5, max: 3, askMs: 0, heals: [] },
    } as unknown as RunRequest['profile'],
    ...more,
  };
}
