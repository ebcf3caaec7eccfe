import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';

Runtime.install({ logger: new DefaultLogger('WARN') });

const at = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const histories = (await readdir(at('../histories'))).filter((name) => name.endsWith('.json'));

test('there are histories to replay', () => {
  expect(histories.length).toBeGreaterThanOrEqual(12);
});

test.each(histories)('%s replays against the workflows as they are', async (name) => {
  const history: unknown = JSON.parse(await readFile(path.join(at('../histories'), name), 'utf8'));
  await Worker.runReplayHistory({ workflowBundle: { codePath: at('../../dist/workflow-bundle.js') } }, history);
});
