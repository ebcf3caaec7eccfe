import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectClient, startSuite, type ServerLink } from '../../src/client.js';
import { hostWorkflow, type HostInfo } from '../../src/domain/host.js';
import { WORKFLOWS } from '../../src/domain/names.js';
import type { SuiteRequest } from '../../src/domain/suite.js';
import { announceHost, forgetSealed, listHosts } from '../../src/temporal/host-directory.js';
import { layoutOf } from '../../src/host/paths.js';
import { waitUntil } from '../../src/host/process.js';
import { otherKeys } from '../../src/temporal/other-keys.js';
import { createSchedule, findSchedule, scheduleNames } from '../../src/temporal/schedules.js';
import { sealingKey } from '../../src/temporal/key.js';
import { openBench, type Bench } from '../e2e/bench.js';

// No worker is there: what is asked for is only on record.
let bench: Bench;
/** With the key that seals what is there. */
let first: ServerLink;
/** With another. */
let second: ServerLink;

beforeAll(async () => {
  bench = await openBench('own');
  first = bench.link;
  const { address, namespace } = first;
  second = await connectClient({ address, namespace }, await sealingKey(layoutOf(bench.layout.home), {}));
});
afterAll(async () => {
  await second[Symbol.asyncDispose]();
  await bench[Symbol.asyncDispose]();
});

const INFO: HostInfo = {
  host: 'lab-1-71aa05',
  labels: [],
  drivers: [],
  cpus: 1,
  machines: 1,
  memoryMiB: 1,
  version: '',
  node: '',
  runs: '/runs',
};
const SUITE = 'suite-20261123-071500-ab12';
const TIMING = { every: '1h', everyMs: 3_600_000, timezone: 'UTC', overlap: 'skip', catchupMs: 60_000 } as const;
const schedule = (link: ServerLink, name: string) => createSchedule(link, TIMING, { schedule: name } as never, true);

test('what another key seals is told by its name and its key; names that none could have are not', async () => {
  const request = { suite: SUITE, profiles: [], runs: [] };
  await startSuite(first, request as unknown as SuiteRequest);
  await announceHost(first.client, INFO);
  await schedule(first, 'nightly');
  await schedule(second, 'hourly');
  await first.client.workflow.start(WORKFLOWS.host, {
    workflowId: hostWorkflow('\u001b[2J evil'),
    taskQueue: 'none',
    memo: { host: { host: 'evil' } },
  });
  const { connection } = second.client;
  await connection.workflowService.startWorkflowExecution({
    namespace: second.namespace,
    workflowId: hostWorkflow('plain'),
    workflowType: { name: WORKFLOWS.host },
    taskQueue: { name: 'none' },
    requestId: 'plain',
    memo: { fields: { host: { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from('{}') } } },
  });
  const all = { suites: [SUITE], hosts: [INFO.host], schedules: ['nightly'] };
  await waitUntil(async () => JSON.stringify((await otherKeys(second)).names) === JSON.stringify(all), 20_000);
  expect(await otherKeys(second)).toEqual({ keys: [first.key.id], names: all });
  expect(await otherKeys(first)).toEqual({
    keys: [second.key.id],
    names: { suites: [], hosts: [], schedules: ['hourly'] },
  });
  expect(await scheduleNames(second)).toEqual(['hourly']);
  await expect(findSchedule(second, 'nightly')).rejects.toMatchObject({ code: 'SERVER_KEY_DIFFERS' });
});

test('a host of another key whose worker is gone can be forgotten, one of this key is left to its workflow', async () => {
  await announceHost(first.client, INFO);
  expect(await forgetSealed(first.client, INFO.host)).toBe(false);
  expect(await forgetSealed(second.client, 'unknown')).toBe(false);
  expect(await forgetSealed(second.client, INFO.host)).toBe(true);
  expect(await first.client.workflow.getHandle(hostWorkflow(INFO.host)).describe()).toMatchObject({
    status: { name: 'TERMINATED' },
  });
});

test('a host whose home has another key now takes the place of what it said before', async () => {
  await announceHost(first.client, INFO);
  await announceHost(second.client, { ...INFO, cpus: 2 });
  await waitUntil(async () => (await listHosts(second.client)).length > 0, 20_000);
  expect(await listHosts(second.client)).toMatchObject([{ host: INFO.host, cpus: 2, alive: false }]);
  expect(await otherKeys(second, ['hosts'])).toEqual({ keys: [], names: { suites: [], hosts: [], schedules: [] } });
});
