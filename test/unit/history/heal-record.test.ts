import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import {
  healCounts,
  healRecordFile,
  readHealRecord,
  recordHeal,
  type HealOutcome,
} from '../../../src/history/heal-record.js';
import { startProgram } from '../../fixtures/programs/programs.js';

let home = '';
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'nixproof-record-'));
  onTestFinished(() => rm(home, { recursive: true }));
});

const outcome = (heal: number, more: Partial<HealOutcome> = {}): HealOutcome => ({
  at: '2026-11-25T00:00:00.000Z',
  run: 'vm-1',
  heal,
  class: 'network.dns',
  name: 'use-public-resolvers',
  profile: 'vm',
  outcome: 'worked',
  ...more,
});

test('nothing is recorded where nothing was', async () => {
  expect(await readHealRecord(home)).toEqual([]);
  expect(healCounts([])('network.dns', 'use-public-resolvers')).toEqual({ worked: 0, notWorked: 0 });
});

test('outcomes are counted by class and heal, over all runs and profiles', async () => {
  await recordHeal(home, outcome(1));
  await recordHeal(home, outcome(1, { run: 'vm-2' }));
  await recordHeal(home, outcome(2, { outcome: 'no-effect' }));
  await recordHeal(home, outcome(3, { outcome: 'failed', profile: 'server' }));
  await recordHeal(home, outcome(4, { outcome: 'rejected' }));
  await recordHeal(home, outcome(5, { class: 'disk.full' }));
  await recordHeal(home, outcome(6, { name: 'renew-the-lease' }));
  const counts = healCounts(await readHealRecord(home));
  expect(counts('network.dns', 'use-public-resolvers')).toEqual({ worked: 2, notWorked: 2 });
  expect(counts('disk.full', 'use-public-resolvers')).toEqual({ worked: 1, notWorked: 0 });
  expect(counts('network.dns', 'renew-the-lease')).toEqual({ worked: 1, notWorked: 0 });
  expect(counts('memory.oom', 'renew-the-lease')).toEqual({ worked: 0, notWorked: 0 });
});

test('an outcome told twice counts once, as it was told first', async () => {
  await recordHeal(home, outcome(1));
  await recordHeal(home, outcome(1, { at: '2026-11-26T00:00:00.000Z', outcome: 'failed' }));
  expect(await readHealRecord(home)).toEqual([outcome(1)]);
});

test.each(['{"at":"2026-11-25T00:00:00.000Z","run":"vm-1","he', '{', 'null', '{"run":"x","heal":1}', '\0\0\0\0'])(
  'a line torn into %j takes no other along',
  async (torn) => {
    await recordHeal(home, outcome(1));
    await appendFile(healRecordFile(home), torn);
    expect(await readHealRecord(home)).toEqual([outcome(1)]);
    await recordHeal(home, outcome(2));
    expect(await readHealRecord(home)).toEqual([outcome(1), outcome(2)]);
  },
);

test('processes that write at the same time lose nothing and mix nothing', async () => {
  const programs = Array.from({ length: 6 }, (_, index) => startProgram('heal-recorder', [home, `run-${index}`, '50']));
  expect(await Promise.all(programs.map(({ ended }) => ended))).toEqual([0, 0, 0, 0, 0, 0]);
  const record = await readHealRecord(home);
  expect(record).toHaveLength(300);
  expect(healCounts(record)('network.dns', 'use-public-resolvers')).toEqual({ worked: 300, notWorked: 0 });
  // One who sees another's line half written closes it too: an empty line, which holds nothing.
  const lines = (await readFile(healRecordFile(home), 'utf8')).split('\n').filter((line) => line !== '');
  expect(lines).toHaveLength(300);
  for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
});
