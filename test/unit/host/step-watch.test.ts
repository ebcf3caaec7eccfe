import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isRetryable } from '../../../src/domain/error.js';
import { noteOf, refuseDeadly } from '../../../src/host/step-watch/watch.js';
import { startProgram } from '../../fixtures/programs/programs.js';

let run: string;
beforeEach(async () => {
  run = await mkdtemp(path.join(tmpdir(), 'nixproof-freeze-'));
});
afterEach(() => rm(run, { recursive: true }));

const lease = (name: string) => path.join(run, 'lease', name);

test.each(['loop', 'pattern'])('a step that freezes its worker by a %s ends it, and it alone is noted', async (way) => {
  const program = startProgram('deadly-step', [run, '2000', way]);
  expect(await program.line()).toBe('begun');
  expect(await program.ended).toBe('SIGKILL');
  expect(await readdir(path.join(run, 'deaths'))).toEqual(['one.000008.0001']);
});

test('a step whose error nothing catches ends its worker, and it alone is noted', async () => {
  const program = startProgram('deadly-step', [run, '60000', 'error']);
  expect(await program.line()).toBe('begun');
  await program.ended;
  expect(await readdir(path.join(run, 'deaths'))).toEqual(['one.000008.0001']);
});

test('a worker that is stopped for longer is not frozen', async () => {
  const program = startProgram('deadly-step', [run, '1000', 'none']);
  expect(await program.line()).toBe('begun');
  program.process.kill('SIGSTOP');
  // As long as twice what a freeze takes, by the clock of a process that does not stand still.
  await startProgram('deadly-step', [path.join(run, 'other'), '2000', 'loop']).ended;
  program.process.kill('SIGCONT');
  await startProgram('deadly-step', [path.join(run, 'other'), '2000', 'loop']).ended;
  program.process.kill('SIGTERM');
  expect(await program.ended).toBe('SIGTERM');
  expect(existsSync(path.join(run, 'deaths'))).toBe(false);
});

test('a step that ended its worker three times is refused, and no other', async () => {
  await refuseDeadly(lease('one.000008.0001'));
  await mkdir(path.join(run, 'deaths'));
  for (const attempt of ['0001', '0002', '0003']) {
    await refuseDeadly(lease(`one.000008.${attempt}`));
    await writeFile(noteOf(lease(`one.000008.${attempt}`)), '');
  }
  await expect(refuseDeadly(lease('one.000008.0004'))).rejects.toMatchObject({ code: 'INTERNAL_STEP_ENDS_WORKER' });
  await refuseDeadly(lease('one.000007.0004'));
  await refuseDeadly(lease('two.000008.0001'));
});

test('it is not tried again', () => {
  expect(isRetryable('INTERNAL_STEP_ENDS_WORKER')).toBe(false);
});
