import { existsSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import { runFiles } from '../../src/records/artifacts.js';
import { stackFiles } from '../../src/stack/stack-files.js';
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
  const [host] = parsed<{ host: string }[]>(await bench.np(folder, 'hosts', '--json'));
  const refusals = [
    [['hosts', 'drain', 'any'], 'has another key'],
    [['hosts', 'forget', host?.host ?? ''], 'SERVER_HOST_ALIVE'],
    [['status', run], 'sealed with another key'],
  ] as const;
  for (const [args, text] of refusals) {
    const asked = await elsewhere.np(folder, ...args, '--verbose');
    expect(asked).toMatchObject({ exit: 3, stderr: expect.stringContaining(text) as string });
  }
  const list = await elsewhere.np(folder, 'status');
  expect(list).toMatchObject({ exit: 0, stdout: expect.stringContaining('no runs yet') as string });
  expect(list.stderr).toMatch(
    /^2 suites of this server are sealed with another key \([0-9a-f]{8}, [0-9a-f]{8}\)\nhint: .*NIXPROOF_KEY_FILE/,
  );
  const { checks } = parsed<{ checks: { name: string; status: string; detail: string; fix: string }[] }>(
    await elsewhere.np(folder, 'doctor', '--json'),
  );
  expect(checks.find(({ name }) => name === 'key')).toMatchObject({
    status: 'broken',
    detail: expect.stringMatching(/2 suites, 1 host of this server are sealed with another key/) as string,
    fix: expect.stringContaining('NIXPROOF_KEY_FILE') as string,
  });
  expect(checks.find(({ name }) => name === 'temporal')).toMatchObject({ status: 'ok' });
  const worker = await elsewhere.np(folder, 'worker');
  expect(worker).toMatchObject({ exit: 3, stderr: expect.stringContaining('has another key') as string });

  const missing = await bench.withEnv({ NIXPROOF_KEY_FILE: '/no/such.key' }).np(folder, 'test', '--json');
  expect(missing.exit).toBe(2);
  expect(parsed(missing)).toMatchObject({ error: { code: 'CONFIG_KEY_FILE' } });
});

test('a local stack is used with the key that its database is sealed with, or not at all', async () => {
  const bench = await openBench('local stack');
  const folder = await bench.folder({ 'nixproof.json': CONFIG });
  expect(await bench.np(folder, 'doctor')).toMatchObject({
    stdout: expect.stringMatching(/✓ key +none yet/) as string,
  });
  const { run } = onlyRun(await bench.np(folder, 'test', '--json'));
  const own = path.join(bench.layout.keys, 'sealing.key');
  await rename(own, path.join(folder, 'moved.key'));
  for (const args of [['status'], ['test'], ['up'], ['schedule', 'list']]) {
    const refused = await bench.np(folder, ...args);
    expect(refused, args.join(' ')).toMatchObject({
      exit: args[0] === 'status' ? 0 : 3,
      stderr: args[0] === 'status' ? '' : (expect.stringMatching(/sealed with key [0-9a-f]{8}/) as string),
    });
  }
  expect(existsSync(own)).toBe(false);
  expect(await bench.np(folder, 'doctor')).toMatchObject({
    exit: 3,
    stdout: expect.stringMatching(/✗ key +.*sealed with key/) as string,
  });
  // Named from here; the stack's own processes work elsewhere.
  const named = bench.withEnv({ NIXPROOF_KEY_FILE: 'moved.key' });
  expect(await named.np(folder, 'schedule', 'list')).toMatchObject({
    exit: 0,
    stderr: expect.not.stringContaining('key') as string,
  });
  expect(await named.np(folder, 'status', run)).toMatchObject({ exit: 0 });

  // With its database an open run loses its workflow: nothing else would end its record.
  const files = runFiles(bench.layout.runs, run);
  const ended = JSON.parse(await readFile(files.run, 'utf8')) as RunReport;
  await writeFile(files.run, JSON.stringify({ ...ended, verdict: null, state: 'installing' }));
  for (const suffix of ['', '-wal', '-shm']) await rm(`${stackFiles(bench.layout).database}${suffix}`, { force: true });
  expect((await named.np(folder, 'status')).stdout).toContain('the Temporal server does not know it');
  expect(await named.np(folder, 'cancel', run)).toMatchObject({
    exit: 0,
    stdout: `${run}: cancelled; its machine goes with \`nixproof cleanup\`\n`,
  });
  expect(parsed(await named.np(folder, 'status', run, '--json'))).toMatchObject({
    verdict: 'cancelled',
    notes: expect.arrayContaining([expect.stringContaining('without its workflow')]) as string[],
  });
  expect(await named.np(folder, 'cancel', run)).toMatchObject({ exit: 0, stdout: `${run} has ended already\n` });
});
