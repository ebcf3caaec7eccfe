import path from 'node:path';
import { expect, test } from 'vitest';
import { onlyRun, openBench, parsed } from './bench.js';

const CONFIG = JSON.stringify({ profiles: { one: { driver: 'sandbox', install: { kind: 'script', run: 'true' } } } });

test('a client or a worker with another key than the worker that is there says so, and what to do', async () => {
  const bench = await openBench('own');
  await bench.worker();
  const folder = await bench.folder({ 'nixproof.json': CONFIG });
  const tested = await bench.np(folder, 'test', '--json');
  expect(tested).toMatchObject({ exit: 0 });
  const { run } = onlyRun(tested);

  const stranger = bench.withEnv({ NIXPROOF_KEY_FILE: '' });
  const refused = await stranger.np(folder, 'test', '--json');
  expect(refused.exit).toBe(3);
  expect(parsed(refused)).toMatchObject({
    error: { code: 'SERVER_KEY_DIFFERS', hint: expect.stringContaining('NIXPROOF_KEY_FILE') as string },
  });
  const elsewhere = bench.withEnv({ NIXPROOF_KEY_FILE: '', NIXPROOF_HOME: path.join(folder, 'another-home') });
  for (const args of [['hosts'], ['hosts', 'drain', 'any'], ['status', run]]) {
    const asked = await elsewhere.np(folder, ...args);
    expect(asked).toMatchObject({ exit: 3, stderr: expect.stringContaining('sealed with another key') as string });
  }
  expect(await elsewhere.np(folder, 'status')).toMatchObject({
    exit: 0,
    stderr: expect.stringContaining('1 more of this server cannot be read') as string,
  });
  const doctor = parsed<{ checks: { name: string; status: string; detail: string }[] }>(
    await elsewhere.np(folder, 'doctor', '--json'),
  );
  expect(doctor.checks.find(({ name }) => name === 'temporal')).toMatchObject({
    status: 'broken',
    detail: expect.stringContaining('sealed with another key') as string,
  });
  const worker = await elsewhere.np(folder, 'worker');
  expect(worker).toMatchObject({ exit: 3, stderr: expect.stringContaining('sealed with another key') as string });

  const missing = await bench.withEnv({ NIXPROOF_KEY_FILE: '/no/such.key' }).np(folder, 'test', '--json');
  expect(missing.exit).toBe(2);
  expect(parsed(missing)).toMatchObject({ error: { code: 'CONFIG_KEY_FILE' } });
});
