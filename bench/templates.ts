import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { gunzipSync } from 'node:zlib';
import type * as templatesModule from '../src/diagnosis/templates.js';

/**
 * How well and how fast log templates are mined: grouping accuracy (the share of lines whose group holds exactly the lines of
 * their true group) and lines a second, for each sample of Loghub-2k (github.com/logpai/loghub).
 *
 *     npm run build && node --import jiti/register bench/templates.ts --dist [FOLDER]
 */

/** Drain's, as published over all sixteen samples (Zhu et al., "Tools and Benchmarks for Automated Log Parsing", ICSE-SEIP 2019). */
const PUBLISHED = { accuracy: 0.865, linesPerSecond: 8500, Linux: 0.69, OpenSSH: 0.79 } as const;
const ROUNDS = 20;

const folder = process.argv.slice(2).find((argument) => !argument.startsWith('--')) ?? '../shared/loghub';
const measured = process.argv.includes('--dist') ? '../dist/healing' : '../src/healing';
const { createTemplateMiner } = (await import(`${measured}/templates.js`)) as typeof templatesModule;

if (existsSync(folder)) report();
else console.log(`${folder}: not there`);

function report(): void {
  const figures = readdirSync(folder)
    .filter((file) => file.endsWith('.ndjson.gz'))
    .map((file) => measure(file.replace('.ndjson.gz', ''), path.join(folder, file)));
  for (const { name, accuracy, linesPerSecond, groups, truth } of figures) {
    const published = Object.hasOwn(PUBLISHED, name) ? ` (Drain: ${PUBLISHED[name as 'Linux']})` : '';
    console.log(
      `${name.padEnd(10)} ${accuracy.toFixed(3)}${published.padEnd(15)} ${String(groups).padStart(4)} groups of ${truth}  ${linesPerSecond.toLocaleString('en').padStart(10)} lines/s`,
    );
  }
  const mean = (of: (figure: Figure) => number) =>
    figures.reduce((sum, figure) => sum + of(figure), 0) / figures.length;
  console.log(
    `mean       ${mean(({ accuracy }) => accuracy).toFixed(3)} (Drain, all sixteen: ${PUBLISHED.accuracy})  ${Math.round(mean(({ linesPerSecond }) => linesPerSecond)).toLocaleString('en')} lines/s (Drain in Python: ${PUBLISHED.linesPerSecond.toLocaleString('en')})`,
  );
}

interface Figure {
  readonly name: string;
  readonly accuracy: number;
  readonly linesPerSecond: number;
  readonly groups: number;
  readonly truth: number;
}

function measure(name: string, file: string): Figure {
  const rows = gunzipSync(readFileSync(file))
    .toString('utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as readonly [event: string, content: string]);
  const mine = () => {
    const miner = createTemplateMiner();
    return rows.map(([, content]) => String(miner.learn(content).id));
  };
  const predicted = mine();
  const from = performance.now();
  for (let round = 0; round < ROUNDS; round++) mine();
  const seconds = (performance.now() - from) / 1000;
  const truth = rows.map(([event]) => event);
  return {
    name,
    accuracy: groupingAccuracy(predicted, truth),
    linesPerSecond: Math.round((ROUNDS * rows.length) / seconds),
    groups: new Set(predicted).size,
    truth: new Set(truth).size,
  };
}

/** The share of lines whose predicted group holds exactly the lines of their true group. */
function groupingAccuracy(predicted: readonly string[], truth: readonly string[]): number {
  const count = (keys: readonly string[]) => {
    const counts = new Map<string, number>();
    for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
    return counts;
  };
  const groups = count(predicted);
  const events = count(truth);
  const both = count(predicted.map((group, at) => `${group} ${truth[at] ?? ''}`));
  const right = predicted.filter((group, at) => {
    const event = truth[at] ?? '';
    const size = both.get(`${group} ${event}`);
    return size === groups.get(group) && size === events.get(event);
  });
  return right.length / predicted.length;
}
