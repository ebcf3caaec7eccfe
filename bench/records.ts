import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { newReport } from '../src/domain/new-report.js';
import type { RunReport } from '../src/domain/run.js';
import { layoutOf } from '../src/host/paths.js';
import { listRunReports, runFiles, writeRunReport } from '../src/records/artifacts.js';
import { pastRuns } from '../src/history/past-runs.js';
import { keepWithin } from '../src/history/quota.js';
import { openRunIndex } from '../src/history/run-index.js';
import { statisticsOf } from '../src/history/statistics.js';

/**
 * Figures over many runs: from the index, beside reading every run's folder; and how long the index takes to be built.
 *
 *     npm run bench:records -- [RUNS]
 */

const count = Number(process.argv[2] ?? 10_000);
const layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-records-')));

function runOf(index: number): RunReport {
  const at = Date.UTC(2026, 0, 1) + index * 3_600_000;
  const identity = {
    run: `vm-${index}`,
    suite: 's',
    profile: `vm${index % 8}`,
    driver: 'qemu',
    startedAt: new Date(at).toISOString(),
  } as const;
  const phases = ['DISK', 'BUILD', 'INSTALL', 'BOOT'].map((name, place) => ({
    name,
    startedAt: new Date(at + place * 1000).toISOString(),
    durationMs: 1000 + ((index * 37 + place) % 500),
    attempt: 1,
  }));
  const metrics = { mib: Array.from({ length: 100 }, (_, sample) => [at + sample, sample] as const) };
  return { ...newReport(identity), verdict: 'passed', attempts: 1, durationMs: 5000 + (index % 700), phases, metrics };
}

async function timed<T>(what: string, step: () => Promise<T>): Promise<number> {
  const since = performance.now();
  await step();
  const ms = performance.now() - since;
  console.log(`${what.padEnd(48)}${(ms / 1000).toFixed(2)} s`);
  return ms;
}

try {
  for (let index = 0; index < count; index++) await writeRunReport(runFiles(layout.runs, `vm-${index}`), runOf(index));
  console.log(`${count} runs, load ${loadavg()[0]?.toFixed(1)}`);
  const folders = await timed('figures from the folders', async () => statisticsOf(await listRunReports(layout.runs)));
  const built = await timed('the index built from the folders', async () =>
    (await openRunIndex(layout))[Symbol.asyncDispose](),
  );
  const indexed = await timed('figures from the index', async () => {
    await using index = await openRunIndex(layout);
    statisticsOf(pastRuns(index));
  });
  const quota = { signal: new AbortController().signal, progress: () => undefined };
  await timed('a look at the quota, where all fits', () => keepWithin(layout, Infinity, new Set(), quota));
  console.log(
    `from the index ${(folders / indexed).toFixed(1)} times as fast; building it takes ${(built / folders).toFixed(1)} times as long as reading`,
  );
} finally {
  await rm(layout.home, { recursive: true, force: true });
}
