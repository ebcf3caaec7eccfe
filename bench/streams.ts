import { createReadStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import type { SuiteReport } from '../src/domain/suite.js';
import { waitUntil } from '../src/host/process.js';
import { readRunReport, runFiles } from '../src/records/artifacts.js';
import { openArena } from '../test/torture/arena.js';
import { nixproof } from './command.js';
import { mib, usage, watchPeaks } from './usage.js';

/**
 * Many installs on sandbox machines that print at the same time, on one worker: lines a second in all, how long after an
 * installer's marker `nixproof watch` shows it, and what that takes of memory and processor. Beside it the same installers with
 * their output in files, by which one sees what part of the processor is theirs.
 *
 *     npm run bench:streams -- [INSTALLS] [LINES_A_SECOND] [SECONDS]
 */

const installs = Number(process.argv[2] ?? 500);
const rate = Number(process.argv[3] ?? 20);
const duration = Number(process.argv[4] ?? 60);
const WATCHED = 10;
/** A run tells its workflow of so many phases at once; later ones are seen at its end. */
const MARKERS = 14;
/** All begin when the file is there. A marker's name is the moment at which it was printed. */
const INSTALL = `select(undef, undef, undef, 0.2) until -e $ENV{GATE};
$| = 1; my $n = 0; my $marker = 0; my $end = time + ${duration};
while (time < $end) {
  if ($marker < ${MARKERS} && time >= $end - ${duration} + $marker * ${duration / (MARKERS + 1)}) { $marker++; printf "::PHASE::T%.0f\\n", time * 1000 }
  print "line ", ++$n, " of an installer that says what it does as installers do\\n" for 1 .. ${Math.max(1, Math.round(rate / 4))};
  select(undef, undef, undef, 0.25);
}
`;

await using arena = await openArena(1);
const folder = path.join(path.dirname(arena.layout.home), 'config');
const gate = path.join(arena.layout.home, 'go');
await mkdir(folder);
await writeFile(path.join(folder, 'install.pl'), INSTALL);
const install = {
  kind: 'script',
  run: 'exec perl -MTime::HiRes=time install.pl',
  env: { GATE: gate },
  timeout: '2h',
  stall: '2h',
};
await writeFile(
  path.join(folder, 'nixproof.json'),
  JSON.stringify({ profiles: { one: { driver: 'sandbox', install } } }),
);
const rank = (values: readonly number[], share: number) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? NaN;
const logOf = (run: string) => runFiles(arena.layout.runs, run).attempt(1).log;

console.log(
  `${installs} installs of ${rate} lines/s for ${duration} s, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}`,
);
const since = performance.now();
const many = String(installs);
const started = await nixproof(arena, folder, ['test', '--repeat', many, '--parallel', many, '--detach', '--json']);
const suite = JSON.parse(started.stdout) as SuiteReport;
const runs = suite.runs.map(({ run }) => run);
const isFollowed = async (run: string) => (await readFile(logOf(run)).catch(() => undefined)) !== undefined;
await waitUntil(async () => (await Promise.all(runs.map(isFollowed))).every(Boolean), 3_600_000, { everyMs: 1000 });
console.log(`all of them are followed after ${((performance.now() - since) / 1000).toFixed(0)} s`);

const latencies: number[] = [];
const watching = runs.slice(0, WATCHED).map((run) => {
  const seen = new Set<string>();
  return nixproof(arena, folder, ['watch', run], (text) => {
    for (const [marker, at] of text.matchAll(/▸ T(\d{13})/g)) {
      if (seen.has(marker)) continue;
      seen.add(marker);
      latencies.push(Date.now() - Number(at));
    }
  });
});
const peaks = watchPeaks(arena);
const before = await usage(arena);
await writeFile(gate, '');
const begun = performance.now();
/** How many lines of a run's log are here; a log may be longer than a string. */
async function linesOf(run: string): Promise<number> {
  let lines = 0;
  for await (const chunk of createReadStream(logOf(run)) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
  }
  return lines;
}
await new Promise((resolve) => setTimeout(resolve, duration * 1000));
const here = (await Promise.all(runs.map(linesOf))).reduce((a, b) => a + b, 0);
const flowing = (performance.now() - begun) / 1000;
const after = await usage(arena);
await Promise.all(watching);
await nixproof(arena, folder, ['watch', suite.suite]);
const reports = (await Promise.all(runs.map((run) => readRunReport(arena.layout.runs, run)))).filter(
  (report) => report !== undefined,
);
const peak = peaks.stop();
const passed = reports.filter(({ verdict, log }) => verdict === 'passed' && log.verified).length;
const lines = reports.reduce((sum, { log }) => sum + log.lines, 0);
console.log(`${passed} of ${installs} passed with every byte of their logs; ${lines} lines`);
const histories = await Promise.all(
  runs.slice(0, WATCHED).map(async (run) => {
    const { historyLength, historySize = 0 } = await arena.link.client.workflow.getHandle(run).describe();
    return { events: historyLength, bytes: historySize };
  }),
);
console.log(
  `the longest history of ${histories.length} runs: ${Math.max(...histories.map(({ events }) => events))} events, ` +
    `${Math.ceil(Math.max(...histories.map(({ bytes }) => bytes)) / 1024)} KiB`,
);
console.log(
  `lines here while they flowed: ${(here / flowing).toFixed(0)} a second (printed: ${(lines / duration).toFixed(0)})`,
);
console.log(
  `marker to \`nixproof watch\`: p50 ${rank(latencies, 0.5)} ms, p99 ${rank(latencies, 0.99)} ms (${latencies.length} markers of ${WATCHED} runs)`,
);
for (const [kind, { cpu }] of after) {
  const spent = cpu - (before.get(kind)?.cpu ?? 0);
  console.log(
    `${kind}: peak ${mib(peak.get(kind) ?? 0)} resident, ${((100 * spent) / flowing).toFixed(0)} % of a core while they flowed`,
  );
}
