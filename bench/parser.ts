import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import type { StreamEvent } from '../src/domain/event.js';
import type * as parserModule from '../src/stream/parser.js';
import type * as serializeModule from '../src/stream/serialize.js';
import { randomFrom, realisticLog } from './installer-log.js';

/**
 * How fast the stream parser is: lines a second and MB a second, parse only and with the writing of events, beside `grep -c`
 * on the same file in the same run.
 *
 *     npm run build && node --import jiti/register bench/parser.ts --dist [--lines N] [--json]
 *
 * `--dist` measures what ships. Without it the sources are measured as jiti loads them, which is about half as fast: every use
 * of an import goes through a getter there.
 */

const ROUNDS = 5;
const CHUNK_BYTES = 256 * 1024;

/** Quoted for comparison, from another machine run: the seed's monitor, parsing only and in whole. */
const SEED = { parseOnly: 710_000, whole: 42_000 } as const;

interface Figure {
  readonly name: string;
  readonly linesPerSecond: number;
  readonly mbPerSecond: number;
  /** Of this process, the collector's threads among it: what holds on a busy machine. Means nothing for grep. */
  readonly linesPerCpuSecond: number;
}

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};

const measured = process.argv.includes('--dist') ? '../dist/stream' : '../src/stream';
const { createStreamParser } = (await import(`${measured}/parser.js`)) as typeof parserModule;
const { serializeEvents } = (await import(`${measured}/serialize.js`)) as typeof serializeModule;

const lineCount = Number(option('--lines') ?? 1_000_000);
const folder = mkdtempSync(path.join(tmpdir(), 'nixproof-bench-'));
try {
  const file = path.join(folder, 'install.log');
  const bytes = writeLog(file, lineCount);
  const figures = [
    measure('parse only', bytes, () => readThrough(file, () => undefined)),
    measure('parse and serialise', bytes, () =>
      readThrough(file, (events) => serializeEvents(events, 1_700_000_000_000)),
    ),
    measure('grep -c', bytes, () => grep(file, '::ERROR::')),
    measure('grep -c (all lines)', bytes, () => grep(file, '')),
  ];
  report(figures, bytes);
} finally {
  rmSync(folder, { recursive: true });
}

function writeLog(file: string, lines: number): number {
  const descriptor = openSync(file, 'w');
  let bytes = 0;
  for (const part of realisticLog(lines, randomFrom(1))) bytes += writeSync(descriptor, part);
  closeSync(descriptor);
  return bytes;
}

/** Reads the file as the follower does, in chunks, and answers how many lines there were. */
function readThrough(file: string, sink: (events: readonly StreamEvent[]) => void): number {
  const parser = createStreamParser();
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const descriptor = openSync(file, 'r');
  for (;;) {
    const length = readSync(descriptor, chunk, 0, CHUNK_BYTES, null);
    sink(length === 0 ? parser.end() : parser.push(chunk.subarray(0, length)));
    if (length === 0) break;
  }
  closeSync(descriptor);
  return parser.position().lines;
}

function grep(file: string, pattern: string): number {
  const { status, error } = spawnSync('grep', ['-c', '--', pattern, file]);
  if (error !== undefined || status !== 0) throw new Error(`grep -c did not run: ${error?.message ?? String(status)}`);
  return lineCount;
}

/** The median of some rounds, after one to warm up. */
function measure(name: string, bytes: number, round: () => number): Figure {
  round();
  const cpuFrom = process.cpuUsage();
  const seconds = Array.from({ length: ROUNDS }, () => {
    const from = performance.now();
    if (round() !== lineCount) throw new Error(`${name}: lines were lost`);
    return (performance.now() - from) / 1000;
  }).sort((a, b) => a - b);
  const median = seconds[(ROUNDS - 1) / 2] ?? NaN;
  const { user, system } = process.cpuUsage(cpuFrom);
  const linesPerCpuSecond = Math.round((ROUNDS * lineCount) / ((user + system) / 1e6));
  return {
    name,
    linesPerCpuSecond,
    linesPerSecond: Math.round(lineCount / median),
    mbPerSecond: Math.round(bytes / 1e6 / median),
  };
}

function report(figures: readonly Figure[], bytes: number): void {
  const grepLines = figures.find(({ name }) => name === 'grep -c')?.linesPerSecond ?? NaN;
  if (process.argv.includes('--json')) {
    console.log(
      JSON.stringify({
        measured,
        node: process.version,
        lines: lineCount,
        bytes,
        rounds: ROUNDS,
        load: loadavg()[0],
        figures,
        seed: SEED,
      }),
    );
    return;
  }
  console.log(
    `${lineCount} lines, ${(bytes / 1e6).toFixed(1)} MB, median of ${ROUNDS}, node ${process.version}, ${measured}, load ${loadavg()[0]?.toFixed(1) ?? '?'}`,
  );
  for (const { name, linesPerSecond, linesPerCpuSecond, mbPerSecond } of figures) {
    const cpu = name.startsWith('grep') ? '' : `, ${linesPerCpuSecond.toLocaleString('en')} lines per CPU second`;
    const ratios = `${(linesPerSecond / SEED.parseOnly).toFixed(1)} × seed, ${(linesPerSecond / grepLines).toFixed(2)} × grep${cpu}`;
    console.log(
      `${name.padEnd(20)} ${linesPerSecond.toLocaleString('en').padStart(12)} lines/s ${String(mbPerSecond).padStart(6)} MB/s   ${ratios}`,
    );
  }
  console.log(
    `seed (quoted)        ${SEED.parseOnly.toLocaleString('en').padStart(12)} lines/s parse only, ${SEED.whole.toLocaleString('en')} in whole`,
  );
}
