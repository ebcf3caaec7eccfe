import { mkdir, mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { findRuns } from '../../../../src/cli/runs.js';
import type { Session } from '../../../../src/cli/session.js';
import { newReport } from '../../../../src/domain/new-report.js';
import type { Work } from '../../../../src/domain/work.js';
import { writeJson } from '../../../../src/host/files.js';
import { ownIdentity, tryLock } from '../../../../src/host/lock.js';
import { layoutOf, type Layout } from '../../../../src/host/paths.js';
import { runFiles } from '../../../../src/records/artifacts.js';
import { OWN_INSTALLATION, type Installation } from '../../../../src/stack/membership/installation.js';
import { joinStack } from '../../../../src/stack/membership/join.js';
import { stackFiles, type StackFiles } from '../../../../src/stack/stack-files.js';
import { runUp } from '../../../../src/stack/supervise/up.js';

/**
 * Two installations of nixproof on one home: this process plays the holder of the other one's
 * stack.
 */

const work: Work = { signal: new AbortController().signal, progress: () => undefined };
let layout: Layout;
let files: StackFiles;

beforeEach(async () => {
  layout = layoutOf(await mkdtemp(path.join(tmpdir(), 'nixproof-installation-')));
  files = stackFiles(layout);
  await mkdir(files.leases, { recursive: true });
});

async function stackOf(installation: Installation | undefined): Promise<void> {
  const self = await ownIdentity();
  const facts = { address: '127.0.0.1:1', uiUrl: 'http://127.0.0.1:2', version: '1.5.1' };
  const processes = { holder: self, server: self, worker: self, startedAt: new Date().toISOString() };
  await writeJson(files.record, { ...(installation && { installation }), ...processes, ...facts });
}

const other = { ...OWN_INSTALLATION, build: '0.0.9+0123456789ab', folder: '/opt/nixproof' };

describe.each([
  ['another build', other, `/opt/nixproof (0.0.9+0123456789ab, process ${process.pid})`],
  ['another protocol', { ...OWN_INSTALLATION, protocol: 2 }, `(${OWN_INSTALLATION.build}, process ${process.pid})`],
  // The command line of the process says where it is.
  ['a version without builds', undefined, `node`],
] as const)('the stack of %s', (_, installation, named) => {
  const refusal = {
    code: 'SERVER_OTHER_INSTALLATION',
    message: expect.stringContaining(named) as string,
    hint: `stop the other one (\`kill ${process.pid}\`), or set NIXPROOF_HOME to another folder`,
    details: expect.objectContaining({ process: process.pid, own: OWN_INSTALLATION.build }) as unknown,
  };

  test('is not joined, and not held', async () => {
    await stackOf(installation);
    await expect(joinStack({ layout, work })).rejects.toMatchObject(refusal);
    expect(await readdir(files.leases)).toEqual([]);
  });

  test('is not waited for by `up`', async () => {
    await stackOf(installation);
    const held = await tryLock(files.lock);
    if (held.status === 'held') throw new Error('the lock is another process’s');
    onTestFinished(() => held.lock.release());
    await expect(runUp({ layout, work, onReady: () => undefined })).rejects.toMatchObject(refusal);
  });

  test('does not keep `status` from what is on disk', async () => {
    await stackOf(installation);
    const report = newReport({ run: 'vm-1', suite: 's', profile: 'vm', driver: 'qemu', startedAt: '2026-01-01' });
    await writeJson(runFiles(layout.runs, 'vm-1').run, report);
    const said: string[] = [];
    const session = { ...work, layout, progress: (line: string) => said.push(line) } as unknown as Session;
    expect(await findRuns(session)).toEqual([{ ...report, state: 'in the stack of another installation' }]);
    expect(said).toEqual([expect.stringContaining(named)]);
  });
});

test('the stack of the same build is joined, wherever it is installed', async () => {
  await stackOf({ ...OWN_INSTALLATION, folder: '/another/checkout' });
  const lease = await joinStack({ layout, work });
  expect([lease.started, lease.address]).toEqual([false, '127.0.0.1:1']);
  // Its stack would be waited for.
  await lease.holdFor('suite-1');
});
