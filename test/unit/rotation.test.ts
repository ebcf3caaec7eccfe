import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../docs/pages.js';
import { LONG } from '../machine-tests.js';

interface Part {
  readonly tests: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}
interface Rotation {
  readonly ENTRIES: Readonly<Record<string, { readonly parts: readonly Part[] }>>;
  readonly choose: (
    names: readonly string[],
    passed: Readonly<Record<string, number>>,
    commits: number,
    asked?: string,
  ) => { readonly name: string; readonly why: string };
}

const SCRIPT: string = path.join(ROOT, 'scripts/rotation.mjs');
const { choose, ENTRIES } = (await import(SCRIPT)) as Rotation;
const NAMES = Object.keys(ENTRIES);

test('all that CI runs in turn has had its turn after five runs', () => {
  expect(NAMES.length).toBeLessThanOrEqual(5);
  const passed: Record<string, number> = {};
  // As many commits as it happens to be.
  for (const [at, commits] of [7, 7, 12, 40, 41].entries()) passed[choose(NAMES, passed, commits).name] = at + 1;
  expect(Object.keys(passed).sort()).toEqual([...NAMES].sort());
});

test('hosts that remember nothing take turns by the count of commits', () => {
  const names = [100, 101, 102, 103, 104].map((commits) => choose(NAMES, {}, commits).name);
  expect([...names].sort()).toEqual([...NAMES].sort());
});

test.each<[string, Readonly<Record<string, number>>, string | undefined, string, RegExp]>([
  ['what never passed comes first', { a: 1, c: 2 }, undefined, 'b', /never passed/],
  ['then what passed longest ago', { a: 3, b: 2, c: 4 }, undefined, 'b', /longest ago: 1970-01-01/],
  ['what is asked for comes before all', { a: 3, b: 2, c: 4 }, 'c', 'c', /NIXPROOF_CI_ROTATION/],
])('%s', (_, passed, asked, name, why) => {
  const chosen = choose(['a', 'b', 'c'], passed, 9, asked);
  expect(chosen.name).toBe(name);
  expect(chosen.why).toMatch(why);
});

test('an entry that there is not is refused by name', () => {
  expect(() => choose(['a', 'b'], {}, 9, 'd')).toThrow('there is no entry d: a, b');
});

test('every file and every drill that no CI run has is in the rotation', async () => {
  const parts = Object.values(ENTRIES).flatMap((entry) => entry.parts);
  const files = parts.flatMap(({ tests }) => tests);
  expect(LONG.filter((file) => !files.includes(file))).toEqual([]);
  const together = await readFile(path.join(ROOT, 'test/e2e/drills-together.test.ts'), 'utf8');
  const ground = parse(await readFile(path.join(ROOT, 'test/fixtures/drill-ground/nixproof.yaml'), 'utf8')) as {
    profiles: { ground: { drills: readonly string[] } };
  };
  const inTurn = parts.flatMap(({ env }) => env?.['NIXPROOF_TEST_DRILLS']?.split(',') ?? []);
  const never = ground.profiles.ground.drills.filter(
    (fault) => !inTurn.includes(fault) && !new RegExp(`\\[\\s*'${fault.replace(/@.*/, '')}[@']`).test(together),
  );
  expect(never).toEqual([]);
});
