import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { sealedWorker } from '../../src/temporal/sealing.js';
import { testKey } from '../test-key.js';

Runtime.install({ logger: new DefaultLogger('WARN') });

/** What it was recorded of: payloads are sealed for their workflow. */
interface Recorded {
  readonly workflowId: string;
  readonly history: unknown;
}

const at = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const histories = (await readdir(at('../histories'))).filter((name) => name.endsWith('.json'));

test('there are histories to replay', () => {
  expect(histories.length).toBeGreaterThanOrEqual(12);
});

test.each(histories)('%s replays against the workflows as they are', async (name) => {
  const { workflowId, history } = JSON.parse(await readFile(path.join(at('../histories'), name), 'utf8')) as Recorded;
  const options = {
    workflowBundle: { codePath: at('../../dist/workflow-bundle.js') },
    ...sealedWorker(await testKey()),
  };
  await Worker.runReplayHistory(options, history, workflowId);
});
