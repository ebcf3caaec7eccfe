import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { suiteProgress } from '../src/client.js';
import type { SuiteReport } from '../src/domain/suite.js';
import { processesWithVariable, runCommand, waitUntil } from '../src/host/process.js';
import { openArena, type Arena } from '../test/torture/arena.js';
import { nixproof } from './command.js';
import { mib, usage, watchPeaks } from './usage.js';

/**
 * A suite of many small sandbox runs on one worker and one server, beside the same installers run by xargs with the same
 * parallelism: wall time, memory, what the server did, the parent's histories; then one that is cancelled in the middle.
 *
 *     npm run bench:suite -- [RUNS [PARALLEL]]
 */

const runs = Number(process.argv[2] ?? 1000);
const parallel = Number(process.argv[3] ?? availableParallelism() * 4);
const INSTALL = 'echo ::PHASE::ONLY; echo installed';
const CONFIG = { profiles: { tiny: { driver: 'sandbox', install: { kind: 'script', run: INSTALL } } } };
const seconds = (since: number) => (performance.now() - since) / 1000;

/** The suite of this bench. */
function test(arena: Arena, folder: string, ...more: string[]) {
  const options = ['--repeat', String(runs), '--parallel', String(parallel), '--json', ...more];
  return nixproof(arena, folder, ['test', ...options]);
}

async function suiteOf(arena: Arena, folder: string) {
  const peaks = watchPeaks(arena);
  const before = await usage(arena);
  const since = performance.now();
  const { exit, stdout } = await test(arena, folder);
  const took = seconds(since);
  const suite = JSON.parse(stdout) as SuiteReport;
  const passed = suite.runs.filter(({ verdict }) => verdict === 'passed').length;
  console.log(
    `${passed} of ${runs} passed (exit ${exit}) in ${took.toFixed(1)} s: ${(runs / took).toFixed(1)} runs/s, ${parallel} at a time`,
  );
  const peak = peaks.stop();
  for (const [kind, { cpu }] of await usage(arena)) {
    const spent = cpu - (before.get(kind)?.cpu ?? 0);
    console.log(
      `${kind}: peak ${mib(peak.get(kind) ?? 0)} resident, ${spent.toFixed(0)} s of processor (${((100 * spent) / took).toFixed(0)} % of a core)`,
    );
  }
  for await (const { historyLength, historySize, status } of arena.link.client.workflow.list({
    query: `WorkflowId = '${suite.suite}'`,
  }))
    console.log(`the suite's history: ${historyLength} events, ${mib(historySize ?? 0)} (${status.name})`);
  console.log(
    `the server's database: ${mib((await stat(path.join(path.dirname(arena.layout.home), 'temporal.db'))).size)}`,
  );
  return took;
}

/** The same installers and nothing else. */
async function bare(): Promise<number> {
  const since = performance.now();
  const numbers = Array.from({ length: runs }, (_, index) => `${index}\n`).join('');
  await runCommand('xargs', ['-n', '1', '-P', String(parallel), 'sh', '-c', INSTALL], { input: numbers });
  return seconds(since);
}

async function cancelled(arena: Arena, folder: string): Promise<void> {
  const { stdout } = await test(arena, folder, '--detach');
  const { suite } = JSON.parse(stdout) as SuiteReport;
  await waitUntil(async () => ((await suiteProgress(arena.link, suite))?.ended ?? 0) >= runs / 10, 600_000, {
    everyMs: 200,
  });
  const since = performance.now();
  await nixproof(arena, folder, ['cancel', suite]);
  const took = seconds(since);
  const machines = await readdir(arena.layout.machines).catch(() => []);
  const processes = await processesWithVariable('NIXPROOF_ROOT', (root) => root.startsWith(arena.layout.machines));
  console.log(
    `cancelled in the middle: over after ${took.toFixed(1)} s; left: ${machines.length} machines, ${processes.length} processes`,
  );
}

await using arena = await openArena(1);
const folder = path.join(path.dirname(arena.layout.home), 'config');
await mkdir(folder);
await writeFile(path.join(folder, 'nixproof.json'), JSON.stringify(CONFIG));
console.log(`load ${loadavg()[0]?.toFixed(1)} at the start, ${availableParallelism()} cores`);
const took = await suiteOf(arena, folder);
const alone = await bare();
console.log(
  `the same installers by xargs: ${alone.toFixed(1)} s; what the bench does for a run: ${(((took - alone) * 1000) / runs).toFixed(0)} ms`,
);
await cancelled(arena, folder);
