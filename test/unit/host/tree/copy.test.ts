import { mkdir, mkdtemp, rm, stat, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { copyTree } from '../../../../src/host/tree/copy.js';

test('a copy is not as old as its original: cleaning up would remove it while it is made', async () => {
  const root = await mkdtemp(path.join(tmpdir(), 'nixproof-copy-'));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const [from, to] = [path.join(root, 'from'), path.join(root, 'to')];
  await mkdir(from);
  await utimes(from, 1, 1);
  await copyTree(from, to, path.join(root, 'home'), {
    signal: new AbortController().signal,
    progress: () => undefined,
  });
  expect((await stat(to)).mtimeMs).toBeGreaterThan((await stat(from)).mtimeMs);
});
