// Mutation tests: changes the files that matter most, one place at a time, and runs the tests of
// their area. A change that no test notices has survived.
// `npm run mutate -- [--concurrency N] [AREA…]`; all areas where none is named. Ends with a table,
// one row for each file, and exit status 1 where less than 85 % of all mutants were killed.
import { Stryker } from '@stryker-mutator/core';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { AREAS } from './mutate-areas.mjs';

const LEAST = 85;
/** One file for each area: the mutants that survived. */
const REPORTS = 'coverage/mutation';
const KILLED = ['Killed', 'Timeout'];
const SURVIVED = ['Survived', 'NoCoverage'];
const NOTHING = { file: 'all', killed: 0, survived: 0 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { concurrency: { type: 'string', default: '2' } },
});
const unknown = positionals.filter((name) => !Object.hasOwn(AREAS, name));
if (unknown.length > 0) {
  console.error(`there is no area ${unknown.join(', ')}; there are: ${Object.keys(AREAS).join(', ')}`);
  process.exit(2);
}
const chosen = positionals.length > 0 ? positionals : Object.keys(AREAS);
mkdirSync(REPORTS, { recursive: true });

const rows = [];
for (const area of chosen) {
  const { files, tests } = AREAS[area];
  process.env.MUTATE_TESTS = tests.join(',');
  const mutants = await new Stryker({
    mutate: files,
    testRunner: 'vitest',
    plugins: ['@stryker-mutator/vitest-runner'],
    vitest: { configFile: 'vitest.mutate.config.ts', related: false },
    coverageAnalysis: 'perTest',
    concurrency: Number(values.concurrency),
    reporters: ['progress-append-only'],
    // The words of a message are no decision.
    mutator: { excludedMutations: ['StringLiteral'] },
    timeoutMS: 10_000,
    tempDirName: 'coverage/mutants',
    logLevel: 'warn',
    warnings: { slow: false },
  }).runMutationTest();
  rmSync('coverage/mutants', { recursive: true, force: true });
  const report = path.join(REPORTS, `${area}.txt`);
  writeFileSync(
    report,
    mutants
      .filter(({ status }) => SURVIVED.includes(status))
      .map(described)
      .join('\n'),
  );
  const its = files.map((file) => rowOf(file, mutants));
  rows.push(...its);
  console.log(`${area}: ${scoreOf(its.reduce(added, NOTHING))} % killed; the survivors are in ${report}`);
}

const whole = rows.reduce(added, NOTHING);
console.table(
  Object.fromEntries(
    [...rows, whole].map((row) => [row.file, { killed: row.killed, survived: row.survived, '%': scoreOf(row) }]),
  ),
);
process.exitCode = scoreOf(whole) >= LEAST ? 0 : 1;

function rowOf(file, mutants) {
  const its = mutants.filter(({ fileName }) => path.relative('.', fileName) === file);
  const count = (states) => its.filter(({ status }) => states.includes(status)).length;
  return { file, killed: count(KILLED), survived: count(SURVIVED) };
}

function added(sum, { killed, survived }) {
  return { ...sum, killed: sum.killed + killed, survived: sum.survived + survived };
}

function scoreOf({ killed, survived }) {
  return Math.round((1000 * killed) / Math.max(1, killed + survived)) / 10;
}

function described({ fileName, location, mutatorName, replacement, status }) {
  const where = `${path.relative('.', fileName)}:${location.start.line}:${location.start.column + 1}`;
  return `${where} ${mutatorName}${status === 'NoCoverage' ? ', which no test runs' : ''}\n    ${replacement}`;
}
