import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectClient, type ServerLink } from '../../src/client.js';
import { WORKFLOWS } from '../../src/domain/names.js';
import { layoutOf, type Layout } from '../../src/host/paths.js';
import { runCommand, terminate } from '../../src/host/process.js';
import { findStack, joinStack, type StackUse } from '../../src/stack/membership/join.js';
import type { StackRecord } from '../../src/stack/membership/record.js';
import { stackFiles } from '../../src/stack/stack-files.js';
import { sealingKey, type SealingKey } from '../../src/temporal/key.js';
import { toolIsHere } from '../unit/reports/tool.js';
import { CLI } from './bench.js';

vi.setConfig({ testTimeout: 120_000 });
let folder: string;
let layout: Layout;
let lease: StackUse;
let stack: StackRecord;
let key: SealingKey;
let link: ServerLink;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-user-'));
  // What is above the home lets everyone in: the home itself does not.
  await chmod(folder, 0o755);
  layout = layoutOf(path.join(folder, 'home'));
  const work = { signal: new AbortController().signal, progress: () => undefined };
  lease = await joinStack({ layout, work, holderCommand: [process.execPath, CLI, 'stack'] });
  stack = (await findStack(layout)) as StackRecord;
  key = await sealingKey(layout);
  link = await connectClient({ address: lease.address }, key);
});
afterAll(async () => {
  await link[Symbol.asyncDispose]();
  await lease[Symbol.asyncDispose]();
  await terminate(stack.holder, 20_000);
  await rm(folder, { recursive: true, force: true });
});

/** Runs a script as nobody, and gives what it printed; a script that fails printed nothing. */
function asNobody(script: string, ...args: string[]): Promise<string> {
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups'];
  return runCommand('setpriv', [...nobody, 'sh', '-c', script, 'sh', ...args]);
}

const SNEAK = `cookies=$(mktemp); page=$(curl -s -c "$cookies" "$1/"); token=$(awk '$6 == "_csrf" {print $7}' "$cookies")
curl -s -o /dev/null -w '%{http_code}' -b "$cookies" -H "X-CSRF-Token: $token" -H 'Content-Type: application/json' \\
  -d "$3" "$1/api/v1/namespaces/default/workflows/$2"; rm "$cookies"`;

const able = process.getuid?.() === 0 && (await toolIsHere('curl', ['--version']));
describe.runIf(able)('another user of this host', () => {
  test('starts a suite through the UI of the local stack, and nothing runs', async () => {
    const request = { workflowType: { name: WORKFLOWS.suite }, taskQueue: { name: 'nixproof' } };
    expect(await asNobody(SNEAK, stack.uiUrl, 'of-nobody', JSON.stringify(request))).toBe('200');
    const result = link.client.workflow.getHandle('of-nobody').result();
    await expect(result).rejects.toMatchObject({ cause: { type: 'REQUEST_UNSEALED' } });
  });

  test.each<[string, () => string]>([
    ['the key', () => key.file],
    ['the database', () => stackFiles(layout).database],
    ['the worker’s log', () => stackFiles(layout).workerLog],
    ['the worker’s environment', () => `/proc/${stack.worker.pid}/environ`],
  ])('does not read %s', async (_, file) => {
    await runCommand('cat', [file()]);
    await expect(asNobody('cat "$1"', file())).rejects.toThrow('Permission denied');
  });
});
