import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followInstaller } from '../../../../src/activities/install/follow-installer.js';
import type { Profile } from '../../../../src/domain/profile.js';
import { layoutOf } from '../../../../src/host/paths.js';
import { waitUntil } from '../../../../src/host/process.js';
import { guestAttempt, startInstaller } from '../../../../src/installers/installer.js';
import { createSandboxDriver } from '../../../../src/machines/sandbox/driver.js';
import { runFiles } from '../../../../src/records/artifacts.js';
import { onFileWrites } from '../file-writes.js';

const MIB = 1024 * 1024;
const PRINTED_MIB = 256;
/** SSH's window of 2 MiB twice, pipes and sockets: the rest is what the process needs anyway. */
const BOUND_MIB = 64;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-pressure-'));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

/** A disk on which no write comes back before `go` is called. */
async function blockedDisk(): Promise<{ readonly blocked: () => boolean; readonly go: () => void }> {
  const gate = new AbortController();
  const opened = once(gate.signal, 'abort');
  let blocked = false;
  await onFileWrites((write) => async (...args) => {
    blocked = true;
    await opened;
    return write(...args);
  });
  return { blocked: () => blocked, go: () => gate.abort() };
}

test('a disk that takes nothing stops the reader: little is held in memory, and no byte is lost', async () => {
  const layout = layoutOf(path.join(folder, 'home'));
  const work = { signal: new AbortController().signal, progress: () => undefined };
  const line = 'x'.repeat(999);
  const install = {
    kind: 'script',
    run: `yes ${line} | head -c ${PRINTED_MIB * MIB}`,
    timeoutMs: 600_000,
    stallMs: 600_000,
    reboot: false,
    env: {},
  } as const;
  const shape = { memoryMiB: 128, cpus: 1, diskBytes: [MIB], firmware: 'bios' } as const;
  const profile = { name: 'vm', machine: shape, deploy: { from: folder, to: '/config', exclude: [] }, install };
  const driver = createSandboxDriver({ layout });
  await using machine = await driver.create({ id: 'vm-1', base: undefined, shape }, work);
  try {
    const start = { attempt: 1, barrier: false, target: machine };
    await startInstaller(machine, await machine.connect(work), profile as unknown as Profile, start);
    const guest = guestAttempt(machine, 1);
    const disk = await blockedDisk();
    const before = process.memoryUsage().rss;
    let beats = 0;
    const following = followInstaller({
      machine,
      target: machine,
      attempt: { number: 1, guest: 1, replayedPhases: 0, heals: [] },
      install,
      files: runFiles(layout.runs, 'vm-1').attempt(1),
      work,
      onBarrier: async () => undefined,
      onReleased: async () => undefined,
      successBaseline: async () => undefined,
      onProgress: () => (beats += 1),
    });
    const printed = () =>
      stat(guest.status).then(
        () => true,
        () => false,
      );
    expect(await waitUntil(async () => disk.blocked() && (await printed()), 60_000)).toBe(true);
    const seen = beats;
    expect(await waitUntil(async () => beats >= seen + 3, 60_000)).toBe(true);
    expect((process.memoryUsage().rss - before) / MIB).toBeLessThan(BOUND_MIB);
    disk.go();
    expect(await following).toMatchObject({
      end: { kind: 'exited', exitCode: 0 },
      log: { bytes: PRINTED_MIB * MIB, verified: true },
    });
  } finally {
    await driver.destroy('vm-1', work);
  }
}, 180_000);
