import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { insideFence } from '../../../../src/host/fence.js';
import { identify, isAlive, waitUntil, type ProcessIdentity } from '../../../../src/host/process.js';
import { killMachine, MACHINE_FOLDER } from '../../../../src/machines/qemu/launch.js';

test('who has lost a machine to somebody else ends nothing of it; its owner does', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'np-launch-'));
  const child = spawn('sleep', ['600'], { env: { ...process.env, [MACHINE_FOLDER]: folder }, stdio: 'ignore' });
  try {
    const identity = (await identify(child.pid ?? 0)) as ProcessIdentity;
    const lost = { root: folder, folder, check: () => Promise.reject(new Error('lost')) };
    await expect(insideFence(lost, () => killMachine(folder))).rejects.toThrow('lost');
    expect(await isAlive(identity)).toBe(true);
    await killMachine(folder);
    expect(await waitUntil(async () => !(await isAlive(identity)), 30_000)).toBe(true);
  } finally {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
});
