import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, onTestFinished, test } from 'vitest';
import { createHostActivities, createSharedActivities } from '../../../../src/activities/index.js';
import type { RunRequest } from '../../../../src/domain/run.js';
import { layoutOf } from '../../../../src/host/paths.js';
import type { Registry } from '../../../../src/machines/registry.js';

const OTHERS: readonly string[] = ['planScheduled', 'notify'];
const REQUEST = { run: 'vm-1', suite: 'suite-1', machine: 'vm-1' } as RunRequest;
const HOSTILE: readonly Partial<RunRequest>[] = [{ run: '../x' }, { suite: '../x' }, { machine: '../x' }];

test('every activity of a run refuses a workflow’s input that names a path, before it does anything', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-request-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const machines = new Proxy({} as Registry, { get: () => expect.fail('a machine was asked for') });
  const dependencies = { hostId: 'host', layout: layoutOf(path.join(home, 'home')), machines, labels: [] };
  const all = Object.entries({ ...createSharedActivities(dependencies), ...createHostActivities(dependencies) });
  const ofRuns = all.filter(([name]) => !OTHERS.includes(name));
  expect(ofRuns.length).toBeGreaterThan(10);
  for (const [name, activity] of ofRuns) {
    for (const wrong of HOSTILE) {
      const run = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(
        activity as (request: RunRequest) => Promise<unknown>,
        {
          ...REQUEST,
          ...wrong,
        },
      );
      await expect(run, `${name} ${JSON.stringify(wrong)}`).rejects.toMatchObject({
        type: 'CONFIG_NAME',
        nonRetryable: true,
      });
    }
  }
  expect(await readdir(home)).toEqual([]);
});
