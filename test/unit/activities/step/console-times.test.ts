import { appendFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noteConsoleTimes } from '../../../../src/activities/step/console-times.js';
import type { Machine } from '../../../../src/machines/machine.js';
import { runFiles } from '../../../../src/records/artifacts.js';
import { waitUntil } from '../../../../src/host/process.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'np-times-'));
  await mkdir(path.join(folder, 'vm-1'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('how far the console has come is noted as it grows, at the latest when the noting ends', async () => {
  const files = runFiles(folder, 'vm-1');
  const machine = { consoleLog: path.join(folder, 'serial.log') } as Machine;
  const noted = async () =>
    (await readFile(files.consoleTimes, 'utf8').catch(() => ''))
      .trim()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { offset: number; at: number });
  const before = Date.now();
  const stop = noteConsoleTimes(machine, files);
  await appendFile(machine.consoleLog ?? '', 'GRUB\n');
  expect(await waitUntil(async () => (await noted()).length === 1, 10_000)).toBe(true);
  await appendFile(machine.consoleLog ?? '', 'Linux\n');
  await stop();
  await stop();
  const times = await noted();
  expect(times.map(({ offset }) => offset)).toEqual([5, 11]);
  for (const { at } of times) expect(at).toBeGreaterThanOrEqual(before);
});

test('a machine without a console notes nothing', async () => {
  const files = runFiles(folder, 'vm-1');
  await noteConsoleTimes({} as Machine, files)();
  await expect(readFile(files.consoleTimes)).rejects.toMatchObject({ code: 'ENOENT' });
});
