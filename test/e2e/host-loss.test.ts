import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { hasOrSkip } from '../contract/requirements.js';
import { LONG, isThere, openBench, parsed, reached, type Bench } from './bench.js';
import { ownNetwork, probeNetworks } from './own-network.js';

const hostId = async (bench: Bench) => (await readFile(path.join(bench.layout.home, 'host-id'), 'utf8')).trim();

/** An installer that prints a line every 50 ms until the test lets it go, on whichever host it is. */
async function begin(bench: Bench, go: string, { labels, timeout }: Asked = {}): Promise<string> {
  const run = `i=0; until [ -e ${go} ]; do i=$((i+1)); echo line $i; sleep 0.05; done; echo done`;
  const profile = {
    driver: 'sandbox',
    install: { kind: 'script', run },
    checks: [{ name: 'there', run: 'echo yes', expect: 'yes' }],
    ...(labels ? { labels } : {}),
  };
  const folder = await bench.folder({ 'nixproof.json': JSON.stringify({ profiles: { one: profile } }) });
  const limit = timeout === undefined ? [] : ['--timeout', timeout];
  const suite = parsed<SuiteReport>(await bench.np(folder, 'test', 'one', '--detach', '--json', ...limit));
  return suite.runs[0]?.run ?? '';
}

interface Asked {
  readonly labels?: readonly string[];
  readonly timeout?: string;
}

const installingAt = (bench: Bench, run: string, host: string) => async () => {
  const report = await bench.status(run);
  return report.host === host && report.state.startsWith('installing');
};

/** A bench whose only worker was killed while a run's installer went on. */
async function killedInMidInstall(asked: Asked = {}) {
  const bench = await openBench('own', { NIXPROOF_LABELS: (asked.labels ?? []).join(',') });
  const go = path.join(bench.layout.home, 'go');
  const worker = await bench.worker();
  const id = await hostId(bench);
  const run = await begin(bench, go, asked);
  await reached('the installer', installingAt(bench, run, id));
  worker.kill('SIGKILL');
  await worker.ended;
  return { bench, id, run, go };
}

const partitioned = (await hasOrSkip('netns', { probe: probeNetworks })) ? test.concurrent : test.skip;

partitioned(
  'a host behind a cut cable: its run starts over on another, and it does not disturb when it is back',
  LONG,
  async () => {
    const network = await ownNetwork(1);
    try {
      const center = await openBench('reachable');
      const port = center.link.address.split(':')[1] ?? '';
      const far = await openBench('elsewhere', { TEMPORAL_ADDRESS: `${network.outside}:${port}` }, network.inside);
      const go = path.join(center.layout.home, 'go');
      const farWorker = await far.worker();
      const farId = await hostId(far);
      const run = await begin(center, go);
      await reached('the far host', installingAt(center, run, farId));
      await center.worker();
      const nearId = await hostId(center);
      const farLog = path.join(far.layout.runs, run, 'attempt-1', 'install.log');
      await reached('lines', async () => (await readFile(farLog, 'utf8').catch(() => '')).includes('line 5\n'));

      await network.cut();
      await reached('the near host', installingAt(center, run, nearId));
      expect(await isThere(path.join(far.layout.machines, run))).toBe(true);
      // Back again it clears what the run left there, while that installs elsewhere.
      await network.mend();
      await reached('its machine to go', async () => !(await isThere(path.join(far.layout.machines, run))));
      await writeFile(go, '');
      const report = await center.verdictOf(run);
      expect(report).toMatchObject({ verdict: 'passed', host: nearId, attempts: 1, log: { verified: true } });
      expect(report.checks.map(({ status }) => status)).toEqual(['pass']);
      expect(report.notes).toContainEqual(
        expect.stringMatching(new RegExp(`^host ${farId} was lost while installing.*; it goes on on ${nearId}$`)),
      );
      expect(await isThere(path.join(center.layout.runs, run, 'report.html'))).toBe(true);
      // And the report stands as it was.
      await far.expectNothingLeft();
      await center.expectNothingLeft();
      expect(await center.status(run)).toEqual(report);
      const file = path.join(far.layout.runs, run, 'run.json');
      await reached('what its folder says', async () => (await readFile(file, 'utf8')).includes('"lost; it goes on'));
      const left = JSON.parse(await readFile(file, 'utf8')) as RunReport;
      expect(left).toMatchObject({ verdict: null, state: `lost; it goes on on ${nearId}` });
      farWorker.kill('SIGTERM');
      expect(await farWorker.ended).toMatchObject({ exit: 0 });
    } finally {
      await network[Symbol.asyncDispose]();
    }
  },
);

test.concurrent('a host that dies: its run starts over on another', LONG, async () => {
  const { bench: first, id: firstId, run } = await killedInMidInstall();
  const second = await openBench('elsewhere', first.server);
  await second.worker();
  const secondId = await hostId(second);
  await reached('the second host', installingAt(second, run, secondId));
  expect((await second.status(run)).notes.join()).toContain(`host ${firstId} was lost while installing`);
  expect(await first.np(first.layout.home, 'cancel', run)).toMatchObject({ exit: 0 });
  expect(await second.verdictOf(run)).toMatchObject({ verdict: 'cancelled', host: secondId });
  expect(await isThere(path.join(second.layout.machines, run))).toBe(false);
  expect(await isThere(path.join(first.layout.machines, run))).toBe(true);
  await first.worker();
  await reached('its machine to go', async () => !(await isThere(path.join(first.layout.machines, run))));
  await first.expectNothingLeft();
  await second.expectNothingLeft();
});

test.concurrent('the only host is waited for, and goes on where it was', LONG, async () => {
  const { bench, id, run, go } = await killedInMidInstall();
  // Longer than a step waits for a worker: nobody is there even to ask where it is.
  const pending = async () =>
    (await bench.link.client.workflow.getHandle(run).describe()).raw.pendingActivities?.length ?? 0;
  await reached('the end of the step’s patience', async () => (await pending()) === 0);
  await bench.worker();
  await reached('the step once more', installingAt(bench, run, id));
  await writeFile(go, '');
  expect(await bench.verdictOf(run)).toMatchObject({
    verdict: 'passed',
    host: id,
    attempts: 1,
    log: { verified: true },
  });
  await bench.expectNothingLeft();
});

test.concurrent('it goes to no host that it has lost, and waits for none that was forgotten', LONG, async () => {
  const { bench: first, id: firstId, run } = await killedInMidInstall();
  const second = await openBench('elsewhere', first.server);
  const worker = await second.worker();
  const secondId = await hostId(second);
  await reached('the second host', installingAt(second, run, secondId));
  await first.worker();
  worker.kill('SIGKILL');
  await worker.ended;
  const waiting = `waiting for a host (${secondId}: it is gone; ${firstId}: it was lost)`;
  await reached(waiting, async () => (await first.status(run)).state === waiting);
  expect(await first.np(first.layout.home, 'hosts', 'forget', secondId)).toMatchObject({ exit: 0 });
  await reached('its end', async () => (await first.status(run)).verdict !== null);
  const reasons = `(${secondId}: it was forgotten; ${firstId}: it was lost)`;
  expect(await first.status(run)).toMatchObject({
    verdict: 'error',
    host: secondId,
    failures: [],
    fault: { code: 'HOST_LOST', message: `its host was lost, and no other can have the run ${reasons}` },
  });
  // It is the same to the host that its run has ended: it clears what is there, and has the report.
  await second.worker();
  expect(await second.verdictOf(run)).toMatchObject({ verdict: 'error', state: 'done', host: secondId });
  await first.expectNothingLeft();
  await second.expectNothingLeft();
});

test.concurrent('a run whose time is up does not wait for its host: an error, not a failure', LONG, async () => {
  const { bench, id, run } = await killedInMidInstall({ labels: ['big'], timeout: '75s' });
  const other = await openBench('elsewhere', bench.server);
  await other.worker();
  const { exit, stdout } = await other.np(other.layout.home, 'watch', run);
  expect(exit).toBe(3);
  expect(stdout).toContain('HOST_LOST');
  const report = await other.status(run);
  expect(report).toMatchObject({ verdict: 'error', host: id, failures: [], fault: { code: 'HOST_LOST' } });
  expect(report.fault?.message).toMatch(new RegExp(`^host ${id} was lost, and the run’s 75 s were up while `));
  await bench.worker();
  const { state, fault, notes } = report;
  expect(await bench.verdictOf(run)).toMatchObject({ verdict: 'error', state, fault, notes });
  await bench.expectNothingLeft();
});
