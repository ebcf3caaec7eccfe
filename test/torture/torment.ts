import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { RunReport, RunRequest, RunResult } from '../../src/domain/run.js';
import { baseFor } from '../../src/bases/registry.js';
import type { Work } from '../../src/domain/work.js';
import { QUERIES, SHARED_TASK_QUEUE, WORKFLOWS, runOfMachine } from '../../src/domain/names.js';
import { processesWithEnvironment, signalIfThere, waitUntil } from '../../src/host/process.js';
import type { Layout } from '../../src/host/paths.js';
import { runFiles } from '../../src/records/artifacts.js';
import { sealedResult } from '../../src/temporal/sealing.js';
import { ownNetwork } from '../e2e/own-network.js';
import { openArena, type Arena } from './arena.js';
import { checkHosts, checkRun, hostsLost, type Broken } from './invariants.js';
import { faultText, type Plan, type PlannedRun } from './plan.js';
import { requestOf, type Recording } from './profiles.js';
import { openRecorder } from './recorder.js';
import { openSurroundings } from './surroundings.js';
import { createTormentor } from './tormentor.js';

/** A run that has not ended so long after it began is stuck. */
const STUCK_MS = 10 * 60_000;
const TIDY_MS = 240_000;
const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };

export interface Torment {
  readonly runs: number;
  /** How often a run started over because its host was lost. */
  readonly hostsLost: number;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly faults: Readonly<Record<string, number>>;
  readonly broken: readonly Broken[];
  readonly seconds: number;
}

export interface TormentOptions {
  /** An empty folder. */
  readonly root: string;
  /** Runs at a time. */
  readonly parallel: number;
  readonly say: (line: string) => void;
}

/** Carries a plan out and checks every run when it has ended, the host when all have. Only where this process is confined. */
export async function torment(plan: Plan, { root, parallel, say }: TormentOptions): Promise<Torment> {
  const { size } = plan;
  await using far = size.hosts === 2 ? await ownNetwork(1) : undefined;
  await using arena = await openArena(0, { root, server: size.server, ...(far ? { far } : {}) });
  const homes = [arena.layout, ...(arena.farLayout ? [arena.farLayout] : [])];
  if (size.machines === 'qemu') await baseFor('debian', arena.layout).prepare(WORK);
  await using recorder = await openRecorder(arena.records);
  const recording: Recording = { folder: arena.records, port: recorder.port };
  const surroundings = await openSurroundings({
    root,
    artifacts: arena.layout.runs,
    serverPorts: arena.serverPorts,
    otherPorts: [recorder.port],
  });
  const tormentor = createTormentor(arena, surroundings, { workers: size.workers, cable: far });
  const started = performance.now();
  const over = new AbortController();
  const faults: Record<string, number> = {};
  const verdicts: Record<string, number> = {};
  const broken: Broken[] = [];
  let lost = 0;
  const begun = new Set<string>();
  const waiting = [...plan.runs];

  const timers = plan.faults.map((fault) =>
    setTimeout(() => {
      if (over.signal.aborted) return;
      say(faultText(fault));
      faults[fault.kind] = (faults[fault.kind] ?? 0) + 1;
      tormentor.suffer(fault).catch((error: unknown) => say(`${fault.kind}: ${String(error)}`));
    }, fault.atMs),
  );
  const whatIsBroken = async (planned: PlannedRun, run: string, result: RunReport | undefined): Promise<Broken[]> => {
    if (!result)
      return [{ invariant: 'no run is stuck', run, detail: `it has not ended in ${STUCK_MS / 60_000} minutes` }];
    const ended = { planned, run, result, homes, records: arena.records };
    return checkRun(ended).catch((error: unknown) => [
      { invariant: 'its files are whole', run, detail: String(error) },
    ]);
  };
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const run = `torture-${size.seed}-${next.index}`;
      begun.add(run);
      const request = requestOf(next, run, { machines: size.machines, deploy: arena.deploy, recording });
      const result = await oneRun(arena, next, request);
      const found = await whatIsBroken(next, run, result);
      const verdict = result?.verdict ?? 'stuck';
      lost += result ? hostsLost(result) : 0;
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
      for (const one of found) say(`BROKEN ${one.invariant}: ${one.run}: ${one.detail}`);
      if (found.length > 0) say(`${run}: kept in ${await keepBroken(arena, homes, run)}`);
      broken.push(...found);
      if (found.length > 0) continue;
      for (const { runs } of homes) await rm(runFiles(runs, run).folder, { recursive: true, force: true });
    }
  };
  await Promise.all(Array.from({ length: parallel }, lane));
  const seconds = (performance.now() - started) / 1000;
  over.abort();
  timers.forEach(clearTimeout);
  await tormentor.settle();
  // What came back from the dead may need a moment until it has heard that it is.
  await waitUntil(async () => (await checkHosts(homes, begun)).length === 0, TIDY_MS, { everyMs: 500 });
  for (const left of await checkHosts(homes, begun)) {
    broken.push(left);
    say(`${left.run}: kept in ${await keepBroken(arena, homes, left.run)}`);
  }
  return { runs: begun.size, hostsLost: lost, verdicts, faults, broken, seconds };
}

/** Starts one run, does to it what is planned, and waits for its end; undefined where it is stuck. */
async function oneRun(arena: Arena, planned: PlannedRun, request: RunRequest): Promise<RunReport | undefined> {
  const { workflow } = arena.link.client;
  const { run } = request;
  const end = performance.now() + STUCK_MS;
  await untilServed(end, () =>
    workflow.start(WORKFLOWS.run, {
      workflowId: run,
      taskQueue: SHARED_TASK_QUEUE,
      args: [request],
      workflowIdConflictPolicy: 'USE_EXISTING',
    }),
  );
  const handle = workflow.getHandle(run);
  const timers = [
    planned.cancelAfterMs === undefined
      ? undefined
      : setTimeout(() => void untilServed(end, () => handle.cancel()), planned.cancelAfterMs),
    planned.killGuestAfterMs === undefined
      ? undefined
      : setTimeout(() => void killGuest(run), planned.killGuestAfterMs),
  ];
  const result = await untilServed(end, () => sealedResult<RunResult>(handle, WORKFLOWS.run));
  timers.forEach(clearTimeout);
  return result && (await untilServed(end, () => handle.query<RunReport>(QUERIES.report)));
}

/** What is left of a broken run when everything else of its torture is gone: its folders and its history. */
async function keepBroken({ link }: Arena, homes: readonly Layout[], run: string): Promise<string> {
  const folder = path.join(tmpdir(), 'nixproof-torture-broken', run);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  for (const [index, { runs }] of homes.entries()) {
    await cp(runFiles(runs, run).folder, path.join(folder, `host-${index}`), { recursive: true }).catch(
      () => undefined,
    );
  }
  try {
    const history = await link.client.workflow.getHandle(runOfMachine(run)).fetchHistory();
    await writeFile(path.join(folder, 'history.json'), historyToJSON(history));
  } catch (error) {
    await writeFile(path.join(folder, 'history.txt'), `there is none: ${String(error)}\n`);
  }
  return folder;
}

/** Kills everything that runs in a sandbox, or a virtual machine's own process. */
async function killGuest(run: string): Promise<void> {
  for (const { pid } of await processesWithEnvironment('NIXPROOF_MACHINE', run)) signalIfThere(pid, 'SIGKILL');
}

/** Asks again while there is no server; undefined where there is no answer in time. */
async function untilServed<T>(end: number, ask: () => Promise<T>): Promise<T | undefined> {
  while (performance.now() < end) {
    const late = new Promise<undefined>((resolve) =>
      setTimeout(() => resolve(undefined), Math.max(0, end - performance.now())).unref(),
    );
    try {
      return await Promise.race([ask(), late]);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  }
  return undefined;
}
