import { spawnSync } from 'node:child_process';
import {
  closeSync,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import type * as diagnoseModule from '../src/diagnosis/diagnose-log.js';
import { randomFrom, realisticLog } from './installer-log.js';

/**
 * How often the diagnosis is right on labelled logs, how often it raises a false alarm, and how fast it reads a long log.
 *
 *     npm run build && node --import jiti/register bench/diagnosis.ts --dist [--corpus FOLDER] [--lines N] [--wrong] [--json]
 *
 * The corpus is a folder with cases.ndjson and negatives.ndjson: `{id, class, also, lines, culprit}` a line. Where it is not
 * there only the speed is measured. A case is right where the best diagnosis has its class.
 */

/** Quoted for comparison, from another machine run: the seed's monitor in whole. */
const SEED_LINES_PER_SECOND = 42_000;
const ROUNDS = 3;
const CHUNK_BYTES = 1 << 18;

interface Case {
  readonly id: string;
  readonly class: string;
  readonly also: readonly string[];
  readonly lines: readonly string[];
  readonly culprit: number;
}

const option = (name: string): string | undefined => {
  const at = process.argv.indexOf(name);
  return at < 0 ? undefined : process.argv[at + 1];
};
const measured = process.argv.includes('--dist') ? '../dist/reading' : '../src/reading';
const { diagnoseLog } = (await import(`${measured}/diagnose-log.js`)) as typeof diagnoseModule;
const corpus = option('--corpus') ?? '../shared/corpus';
const lineCount = Number(option('--lines') ?? 1_000_000);

const quality = existsSync(path.join(corpus, 'cases.ndjson')) ? await measureQuality() : undefined;
const speed = await measureSpeed();
if (process.argv.includes('--json')) console.log(JSON.stringify({ quality, speed }));
else {
  if (quality === undefined) console.log(`${corpus}: not there`);
  else tellQuality(quality);
  tellSpeed();
}

async function measureQuality() {
  const cases = read('cases.ndjson');
  const results = await Promise.all(cases.map(async (item) => ({ item, best: (await diagnose(item))[0] })));
  const negatives = read('negatives.ndjson');
  const alarms = await Promise.all(negatives.map(async (item) => ({ item, best: (await diagnose(item))[0] })));
  const right = results.filter(({ item, best }) => best?.class === item.class);
  const accepted = results.filter(
    ({ item, best }) => best !== undefined && [item.class, ...item.also].includes(best.class),
  );
  const classes = [...new Set(cases.map((item) => item.class))].sort().map((name) => {
    const truly = results.filter(({ item }) => item.class === name);
    const said = results.filter(({ best }) => best?.class === name);
    const hits = said.filter(({ item }) => item.class === name).length;
    return { name, cases: truly.length, said: said.length, hits, f1: (2 * hits) / (truly.length + said.length) };
  });
  return {
    cases: cases.length,
    accuracy: right.length / cases.length,
    accuracyWithAlso: accepted.length / cases.length,
    macroF1: classes.reduce((sum, { f1 }) => sum + f1, 0) / classes.length,
    telling: results.filter(({ item, best }) => best?.line === item.culprit).length / cases.length,
    negatives: negatives.length,
    falseAlarms: alarms.filter(({ best }) => best !== undefined).length,
    classes,
    wrong: [
      ...results.filter(({ item, best }) => best?.class !== item.class),
      ...alarms.filter(({ best }) => best !== undefined),
    ].map(({ item, best }) => ({
      id: item.id,
      class: item.class,
      said: best?.class ?? 'nothing',
      rule: best?.rule ?? '',
    })),
  };
}

function read(file: string): Case[] {
  return readFileSync(path.join(corpus, file), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Case);
}

function diagnose({ lines }: Case) {
  return diagnoseLog([Buffer.from(`${lines.join('\n')}\n`)]);
}

function tellQuality(figures: NonNullable<typeof quality>): void {
  for (const { name, cases, said, hits, f1 } of figures.classes) {
    console.log(
      `${name.padEnd(22)} ${String(hits).padStart(3)} of ${String(cases).padStart(3)}, said ${String(said).padStart(3)} times   F1 ${f1.toFixed(2)}`,
    );
  }
  if (process.argv.includes('--wrong')) for (const item of figures.wrong) console.log(JSON.stringify(item));
  console.log(
    `accuracy ${figures.accuracy.toFixed(3)} (${figures.accuracyWithAlso.toFixed(3)} with what is right too), macro-F1 ${figures.macroF1.toFixed(3)}, ` +
      `the telling line ${figures.telling.toFixed(2)}, false alarms ${figures.falseAlarms} of ${figures.negatives}`,
  );
}

async function measureSpeed() {
  const folder = mkdtempSync(path.join(tmpdir(), 'nixproof-bench-'));
  try {
    const file = path.join(folder, 'install.log');
    const descriptor = openSync(file, 'w');
    for (const part of realisticLog(lineCount, randomFrom(1))) writeSync(descriptor, part);
    closeSync(descriptor);
    return {
      lines: lineCount,
      diagnosis: await perSecond(() =>
        diagnoseLog(createReadStream(file, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>),
      ),
      grep: await perSecond(() => spawnSync('grep', ['-c', '--', 'No space left on device', file])),
      grepWords: await perSecond(() =>
        spawnSync('grep', ['-ciE', '--', 'error|fail|cannot|denied|timed out|no space', file]),
      ),
      peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Lines a second, the median of some rounds after one to warm up. */
async function perSecond(round: () => unknown): Promise<number> {
  await round();
  const seconds: number[] = [];
  for (let at = 0; at < ROUNDS; at++) {
    const from = performance.now();
    await round();
    seconds.push((performance.now() - from) / 1000);
  }
  return Math.round(lineCount / (seconds.sort((a, b) => a - b)[(ROUNDS - 1) / 2] ?? NaN));
}

function tellSpeed(): void {
  const told = (value: number) => value.toLocaleString('en');
  console.log(
    `${told(speed.lines)} lines: ${told(speed.diagnosis)} lines/s, ${(speed.diagnosis / SEED_LINES_PER_SECOND).toFixed(0)} × seed (${told(SEED_LINES_PER_SECOND)}); ` +
      `grep -c ${told(speed.grep)}, grep -ciE of six words ${told(speed.grepWords)}; peak ${speed.peakMiB} MiB`,
  );
}
