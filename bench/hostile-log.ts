import { mkdir, stat, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import type { RunReport } from '../src/domain/run.js';
import type { SuiteReport } from '../src/domain/suite.js';
import { waitUntil } from '../src/host/process.js';
import { readRunReport, runFiles } from '../src/records/artifacts.js';
import { openArena, type Arena } from '../test/torture/arena.js';
import { worstTexts } from '../test/unit/diagnosis/pattern-pieces.js';
import { RULES } from '../src/diagnosis/rules/index.js';
import { nixproof } from './command.js';

/**
 * What a guest that prints the worst lines for our patterns costs the runs beside it: one run alone,
 * the same beside a run that prints so many MB of them and fails, and beside one that prints as much
 * of nothing special. Then how long `cancel` takes in the middle of such a log.
 *
 *     npm run bench:hostile-log -- [MB [SECONDS]]
 */

const megabytes = Number(process.argv[2] ?? 100);
const seconds = Number(process.argv[3] ?? 60);
const LINE_CHARS = 2000;
const WAIT_MS = 20 * 60_000;

const script = (run: string) => ({ driver: 'sandbox', install: { kind: 'script', run, maxLog: '1G' } });
const printing = (file: string) =>
  script(`n=0; while [ $n -lt ${megabytes} ]; do cat ${file}; n=$((n+1)); done; echo ::PHASE::END; sleep 3; exit 1`);
const PROFILES = (folder: string) => ({
  beside: script(`n=0; while [ $n -lt ${seconds * 10} ]; do n=$((n+1)); echo "line $n"; sleep 0.1; done`),
  worst: printing(path.join(folder, 'worst')),
  plain: printing(path.join(folder, 'plain')),
  endless: script(`while :; do cat ${path.join(folder, 'worst')}; sleep 0.1; done`),
});

/** A megabyte of text made of these lines, again and again. */
function megabyteOf(lines: Iterable<string>): string {
  const pool = [...lines].map((line) => line.replaceAll(/[\n\r]/g, ' ').slice(0, LINE_CHARS));
  let text = '';
  for (let at = 0; text.length < 1e6; at++) text += `${pool[at % pool.length] ?? ''}\n`;
  return text;
}

async function begin(arena: Arena, folder: string, profile: string): Promise<string> {
  const { stdout } = await nixproof(arena, folder, ['test', profile, '--detach', '--no-heal', '--json']);
  return (JSON.parse(stdout) as SuiteReport).runs[0]?.run ?? '';
}

async function ended({ layout }: Arena, run: string): Promise<RunReport> {
  let report: RunReport | undefined;
  const isOver = async () => ((report = await readRunReport(layout.runs, run))?.verdict ?? null) !== null;
  if (!(await waitUntil(isOver, WAIT_MS, { everyMs: 100 })) || !report) throw new Error(`${run} has not ended`);
  return report;
}

/** How often a step of the run was tried again: a heartbeat that stayed away is the reason here. */
async function triedAgain({ link }: Arena, run: string): Promise<number> {
  const { events } = await link.client.workflow.getHandle(run).fetchHistory();
  return (events ?? []).filter(({ activityTaskStartedEventAttributes: started }) => (started?.attempt ?? 1) > 1).length;
}

async function measured(arena: Arena, folder: string, other: string | undefined): Promise<number> {
  const run = await begin(arena, folder, 'beside');
  const also = other === undefined ? undefined : await begin(arena, folder, other);
  const { durationMs, verdict } = await ended(arena, run);
  const again = await triedAgain(arena, run);
  const took = durationMs / 1000;
  console.log(
    `a run ${other === undefined ? 'alone' : `beside ${megabytes} MB of ${other} lines`}: ${verdict} in ${took.toFixed(1)} s, ${again} steps tried again`,
  );
  if (also !== undefined) {
    const report = await ended(arena, also);
    console.log(
      `  the other: ${report.verdict} in ${(report.durationMs / 1000).toFixed(1)} s, ${report.failures.map((failure) => failure.class).join()}, log ${JSON.stringify(report.log)}`,
    );
  }
  return took;
}

async function cancelled(arena: Arena, folder: string): Promise<void> {
  const run = await begin(arena, folder, 'endless');
  const { log } = runFiles(arena.layout.runs, run).attempt(1);
  const isLong = async () => ((await stat(log).catch(() => undefined))?.size ?? 0) > megabytes * 1e6;
  if (!(await waitUntil(isLong, WAIT_MS, { everyMs: 50 }))) throw new Error('the log never grew');
  const { seconds: took } = await nixproof(arena, folder, ['cancel', run]);
  const { verdict } = await ended(arena, run);
  console.log(`cancel after ${megabytes} MB of such a log: ${verdict}, the command took ${took.toFixed(1)} s`);
}

await using arena = await openArena(1);
const folder = path.join(path.dirname(arena.layout.home), 'config');
await mkdir(folder);
await writeFile(path.join(folder, 'nixproof.json'), JSON.stringify({ profiles: PROFILES(folder) }));
const worst = RULES.flatMap(({ pattern }) => [...worstTexts(pattern, LINE_CHARS)]);
await writeFile(path.join(folder, 'worst'), megabyteOf(worst));
await writeFile(path.join(folder, 'plain'), megabyteOf(['q '.repeat(LINE_CHARS / 2)]));
console.log(`load ${loadavg()[0]?.toFixed(1)} at the start, ${availableParallelism()} cores`);
const alone = await measured(arena, folder, undefined);
for (const kind of ['plain', 'worst']) {
  const took = await measured(arena, folder, kind);
  console.log(`  ${(took / alone).toFixed(3)} times as long as alone`);
}
await cancelled(arena, folder);
