import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg } from 'node:os';
import path from 'node:path';
import { parse } from 'yaml';
import type { SuiteReport } from '../src/domain/suite.js';
import { openGround, prepareGround } from '../test/e2e/drill-ground.js';
import { makeFolder } from '../test/e2e/make-folder.js';
import { openArena } from '../test/torture/arena.js';
import { nixproof } from './command.js';

/**
 * A suite of three profiles with two drills each on qemu machines, all at once; the same six one after another; and what their
 * installers take alone: the phases of a run in which nothing goes wrong, six times.
 *
 *     npm run bench:drills
 */

const PROFILES = ['one', 'two', 'three'];
const DRILLS = ['dns-broken', 'tmp-full'];

await using arena = await openArena(1);
const root = path.dirname(arena.layout.home);
await using ground = await openGround({ folder: (files) => makeFolder(root, files) });
await prepareGround({ layout: arena.layout });
const file = path.join(ground.folder, 'nixproof.yaml');
const { profiles, ...rest } = parse(await readFile(file, 'utf8')) as { readonly profiles: { readonly ground: object } };
const profile = { ...profiles.ground, driver: 'qemu', drills: DRILLS };
await writeFile(
  file,
  JSON.stringify({ ...rest, profiles: Object.fromEntries(PROFILES.map((name) => [name, profile])) }),
);

async function suiteOf(...args: string[]): Promise<{ readonly suite: SuiteReport; readonly seconds: number }> {
  const { stdout, seconds } = await nixproof(arena, ground.folder, ['test', '--json', ...args]);
  return { suite: JSON.parse(stdout) as SuiteReport, seconds };
}

const told = ({ suite }: { readonly suite: SuiteReport }) =>
  (suite.drills ?? []).map(
    ({ profile, fault, verdict, ok }) => `${profile}/${fault}: ${verdict ?? ''}${ok ? '' : ' (NOT as expected)'}`,
  );

console.log(
  `${PROFILES.length} profiles, ${DRILLS.length} drills, ${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}`,
);
const plain = await suiteOf('one');
const [run] = plain.suite.runs;
const bare = (run?.phases ?? []).reduce((sum, { durationMs }) => sum + durationMs, 0) / 1000;
console.log(
  `one run in which nothing goes wrong: ${run?.verdict ?? ''}, ${plain.seconds.toFixed(0)} s, its installer and boot ${bare.toFixed(0)} s`,
);
const together = await suiteOf(...PROFILES, '--drill', '--parallel', '6');
console.log(`at once: ${together.seconds.toFixed(0)} s; ${told(together).join(', ')}`);
const inTurn = await suiteOf(...PROFILES, '--drill', '--parallel', '1');
console.log(`one after another: ${inTurn.seconds.toFixed(0)} s; ${told(inTurn).join(', ')}`);
const six = PROFILES.length * DRILLS.length * bare;
console.log(
  `at once it is ${(together.seconds / inTurn.seconds).toFixed(2)} of one after another, ${(together.seconds / six).toFixed(2)} of six such installers alone (${six.toFixed(0)} s), which fail nowhere`,
);
