/**
 * `npm run bench:failover -- [rounds]`: a worker is killed in mid-install while another stands by. How long until the installer's
 * lines flow again, and whether one is lost or double; the same where the worker is ended in order by SIGTERM.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { QUERIES, SHARED_TASK_QUEUE, WORKFLOWS } from '../src/domain/names.js';
import type { RunReport } from '../src/domain/run.js';
import { waitUntil } from '../src/host/process.js';
import { runFiles } from '../src/records/artifacts.js';
import { openArena, type Arena } from '../test/torture/arena.js';
import { checkRun } from '../test/torture/invariants.js';
import { requestOf } from '../test/torture/profiles.js';
import type { PlannedRun } from '../test/torture/plan.js';
import { median } from './median.js';

const CLI = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const rounds = Number(process.argv[2] ?? 20);

/** A worker of the arena's that is ours to end, ready to work. */
async function startWorker({ layout, address }: Arena) {
  const env = { ...process.env, NIXPROOF_HOME: layout.home, TEMPORAL_ADDRESS: address };
  const child = spawn(process.execPath, [CLI, 'worker'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (said += text.toString()));
  await waitUntil(async () => said.includes('polls'), 60_000);
  return child;
}

async function sample(arena: Arena, index: number, signal: NodeJS.Signals) {
  const planned: PlannedRun = { index, kind: 'counted', lines: 6000 };
  const run = `failover-${signal.toLowerCase()}-${index}`;
  const first = await startWorker(arena);
  const handle = await arena.link.client.workflow.start(WORKFLOWS.run, {
    workflowId: run,
    taskQueue: SHARED_TASK_QUEUE,
    args: [
      requestOf(planned, run, {
        machines: 'sandbox',
        deploy: arena.deploy,
        recording: { folder: arena.records, port: 0 },
      }),
    ],
  });
  const { log } = runFiles(arena.layout.runs, run).attempt(1);
  const size = async () => (await readFile(log).catch(() => Buffer.alloc(0))).length;
  await waitUntil(async () => (await size()) > 2000, 60_000, { everyMs: 20 });
  const second = await startWorker(arena);
  const killed = performance.now();
  first.kill(signal);
  await new Promise((resolve) => first.once('exit', resolve));
  const before = await size();
  await waitUntil(async () => (await size()) > before, 120_000, { everyMs: 10 });
  const ms = performance.now() - killed;
  await handle.result();
  const result = await handle.query<RunReport>(QUERIES.report);
  const broken = await checkRun({ planned, run, result, homes: [arena.layout], records: arena.records });
  second.kill('SIGTERM');
  await new Promise((resolve) => second.once('exit', resolve));
  return { ms, broken };
}

await using arena = await openArena(0);
console.log(`artifacts in ${path.dirname(arena.layout.home)}; heartbeat timeout: 10 s`);
for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
  const samples = [];
  for (let round = 0; round < rounds; round++) samples.push(await sample(arena, round, signal));
  const times = samples.map(({ ms }) => ms);
  const broken = samples.flatMap((one) => one.broken);
  console.log(
    `${signal}: lines flow again after ${(median(times) / 1000).toFixed(2)} s (median of ${rounds}, ` +
      `${(Math.min(...times) / 1000).toFixed(2)}–${(Math.max(...times) / 1000).toFixed(2)} s); broken invariants: ${broken.length}`,
  );
  for (const { invariant, detail } of broken) console.log(`  ${invariant}: ${detail}`);
}
