import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { GuestShell } from '../../../../src/activities/heal/guest-shell.js';
import { planChanges } from '../../../../src/activities/heal/tree-edits.js';
import { localMachine } from '../local-machine.js';

test('an edit of all files with a text makes no file of a name that does not come back as it is', async () => {
  const tree = await mkdtemp(path.join(tmpdir(), 'nixproof-edits-'));
  onTestFinished(() => rm(tree, { recursive: true, force: true }));
  for (const name of ['plain', 'new\nline']) await writeFile(path.join(tree, name), 'device = /dev/sda');
  await writeFile(Buffer.concat([Buffer.from(`${tree}/no UTF-8 `), Buffer.from([0xff])]), 'device = /dev/sda');
  const work = { signal: new AbortController().signal, progress: () => undefined };
  const shell = (await localMachine().connect(work)) as unknown as GuestShell;
  const changes = await planChanges(shell, tree, [{ kind: 'replace', find: '/dev/sda', put: '/dev/vdb' }]);
  expect(changes).toEqual([{ path: 'plain', before: 'device = /dev/sda', after: 'device = /dev/vdb' }]);
});
