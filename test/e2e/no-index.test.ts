import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { LONG, onlyRun, openBench } from './bench.js';

test('an index of runs that cannot be opened keeps no verdict back', LONG, async () => {
  const bench = await openBench('own');
  await bench.worker();
  // A folder where the database would be.
  await mkdir(path.join(bench.layout.home, 'records', 'index.db'), { recursive: true });
  const profile = { driver: 'sandbox', install: { kind: 'script', run: 'true' } };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
  const ended = await bench.np(folder, 'test', '--json');
  expect([ended.exit, onlyRun(ended).verdict]).toEqual([0, 'passed']);
  expect(ended.stderr).toContain('no comparison with the runs before: ');
  await bench.expectNothingLeft();
});
