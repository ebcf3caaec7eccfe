import { spawnSync } from 'node:child_process';
import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { falseMentions, readHelp } from '../docs/command-line.js';
import { ROOT } from '../docs/pages.js';
import { toolIsHere } from './reports/tool.js';

const UNIT = path.join(ROOT, 'assets/nixproof-worker.service');

test('the worker’s unit starts a command that there is', async () => {
  const command = /^ExecStart=\/usr\/bin\/env (.*)$/m.exec(await readFile(UNIT, 'utf8'))?.[1] ?? '';
  expect(command).toMatch(/^nixproof worker/);
  expect(falseMentions(command, readHelp())).toEqual([]);
});

test.runIf(await toolIsHere('systemd-analyze', ['--version']))('systemd takes the unit without a word', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'nixproof-unit-'));
  const unit = path.join(folder, 'nixproof-worker.service');
  await copyFile(UNIT, unit);
  // The user is there on a host where it is installed.
  await writeFile(unit, (await readFile(unit, 'utf8')).replace('User=nixproof', 'User=root'));
  const { stdout, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' });
  expect(`${stdout}${stderr}`.split('\n').filter((line) => line.includes('nixproof-worker'))).toEqual([]);
});
