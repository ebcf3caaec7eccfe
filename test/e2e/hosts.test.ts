import { expect, test } from 'vitest';
import type { HostStatus } from '../../src/domain/host.js';
import { SHARED_TASK_QUEUE } from '../../src/domain/names.js';
import { livePollers } from '../../src/temporal/host-directory.js';
import { otherBuildsNote } from '../../src/temporal/host-directory.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { LONG, isThere, openBench, parsed, reached, type Bench } from './bench.js';
import path from 'node:path';
import { readFile, writeFile } from 'node:fs/promises';

const profile = (run: string, more: object = {}) => ({ driver: 'sandbox', install: { kind: 'script', run }, ...more });

async function hostsOf(bench: Bench): Promise<readonly HostStatus[]> {
  return parsed<readonly HostStatus[]>(await bench.np(bench.layout.home, 'hosts', '--json'));
}

const idOf = async (bench: Bench) => (await readFile(path.join(bench.layout.home, 'host-id'), 'utf8')).trim();

test('two hosts: listed, one drained in the middle of a suite, labels, one that nobody has', LONG, async () => {
  const first = await openBench('own');
  await first.worker();
  await reached('its worker', async () => (await livePollers(first.link.client)).length > 0);
  expect(await otherBuildsNote(first.link.client)).toBeUndefined();
  // A second home is another host.
  const second = await openBench('elsewhere', { ...first.server, NIXPROOF_LABELS: 'big' });
  const gate = path.join(first.layout.home, 'go');
  const folder = await first.folder({
    'nixproof.json': JSON.stringify({
      profiles: {
        one: profile(`until [ -e ${gate} ]; do sleep 0.1; done`),
        two: profile('true'),
        three: profile('true'),
        large: profile('true', { labels: ['big'] }),
        huge: profile('true', { labels: ['big', 'huge'] }),
      },
    }),
  });
  const [a, b] = [await idOf(first), 'unknown yet'];
  await reached('the first host', async () => (await hostsOf(first)).some(({ host, alive }) => host === a && alive));

  // The first run is on the only host there is when that is drained; what comes after goes to the other one.
  const suite = parsed<SuiteReport>(
    await first.np(folder, 'test', 'one', 'two', 'three', '--parallel', '1', '--detach', '--json'),
  );
  const [one, two, three] = suite.runs.map(({ run }) => run);
  await reached('the first run', async () => (await first.status(one ?? '')).state.startsWith('installing'));
  expect(await first.np(folder, 'hosts', 'drain', a)).toMatchObject({ exit: 0, stdout: `${a} gets no more runs\n` });
  await second.worker();
  const other = await idOf(second);
  expect(other).not.toBe(b);
  await reached('the second host', async () => (await hostsOf(first)).filter(({ alive }) => alive).length === 2);
  expect((await hostsOf(first)).find(({ host }) => host === a)).toMatchObject({
    drained: true,
    drivers: expect.arrayContaining(['sandbox']) as string[],
  });
  expect((await hostsOf(first)).find(({ host }) => host === other)).toMatchObject({
    drained: false,
    labels: expect.arrayContaining(['big']) as string[],
  });
  await writeFile(gate, '');
  const placed: [string | undefined, RunReport['verdict']][] = [];
  for (const run of [one, two, three]) {
    let report: RunReport | undefined;
    await reached(`the end of ${run ?? ''}`, async () => (report = await first.status(run ?? '')).verdict !== null);
    placed.push([report?.host, report?.verdict ?? null]);
  }
  expect(placed).toEqual([
    [a, 'passed'],
    [other, 'passed'],
    [other, 'passed'],
  ]);
  expect(await isThere(path.join(second.layout.runs, two ?? '', 'report.html'))).toBe(true);

  // Labels: the one host that has it, though the other is free again; and one that no host has.
  expect(await first.np(folder, 'hosts', 'undrain', a)).toMatchObject({ exit: 0 });
  const large = parsed<SuiteReport>(await first.np(folder, 'test', 'large', '--json')).runs[0];
  expect(large).toMatchObject({ verdict: 'passed', host: other });
  const huge = parsed<SuiteReport>(await first.np(folder, 'test', 'huge', '--detach', '--json'));
  const waiting = huge.runs[0]?.run ?? '';
  await reached('what it waits for', async () => (await first.status(waiting)).state.startsWith('waiting for a host'));
  const { state } = await first.status(waiting);
  expect(state).toContain(`${other}: it has no label huge`);
  expect(state).toContain(`${a}: it has no label big, huge`);
  expect(await first.np(folder, 'cancel', huge.suite)).toMatchObject({ exit: 0 });

  const unknown = await first.np(folder, 'hosts', 'drain', `${a}x`, '--verbose');
  expect(unknown.exit).toBe(2);
  expect(unknown.stderr).toContain(`error: there is no host "${a}x", did you mean "${a}"?`);
  expect(unknown.stderr).toMatch(/^code: CONFIG_UNKNOWN_HOST$/m);
  expect(await first.np(folder, 'hosts', 'forget', other)).toMatchObject({ exit: 0 });
  await reached('the end of its record', async () => !(await hostsOf(first)).some(({ host }) => host === other));
  await first.expectNothingLeft();
});

test('workers of other builds on the same queue are named', LONG, async () => {
  const bench = await openBench('own');
  const { client } = bench.link;
  const poll = () =>
    client.withDeadline(Date.now() + 3000, () =>
      client.workflowService.pollActivityTaskQueue({
        namespace: client.options.namespace,
        taskQueue: { name: SHARED_TASK_QUEUE },
        identity: 'lab-1-71aa05@7 0.0.9+0123456789ab',
      }),
    );
  // How a poll without a task ends is the server's choice; a loaded one may not have heard of the
  // first.
  await reached('a poller of another build', async () => {
    await poll().catch(() => undefined);
    return (await otherBuildsNote(client)) !== undefined;
  });
  const note = /^workers of other builds take tasks from this server too: lab-1-71aa05@7 0\.0\.9\+0123456789ab; /;
  expect(await otherBuildsNote(client)).toMatch(note);
  const worker = await bench.worker();
  await worker.says(new RegExp(note.source, 'm'));
});
