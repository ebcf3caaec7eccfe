import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openRecording } from '../../../../src/activities/install/recording.js';
import { withPatience } from '../../../../src/host/disk-space.js';
import { runFiles, type AttemptFiles } from '../../../../src/records/artifacts.js';
import { onFileWrites } from '../file-writes.js';

let folder: string;
let files: AttemptFiles;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-recording-'));
  files = runFiles(folder, 'vm-1').attempt(1);
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true, force: true });
});

const log = () => readFile(files.log, 'utf8');
const events = async () => (await readFile(files.events, 'utf8')).split('\n').slice(0, -1);

/**
 * A disk that takes so many writes more, a part of the next, as the kernel does it, and then none.
 */
async function smallDisk(): Promise<{ writes: number; refused: number }> {
  const disk = { writes: Infinity, refused: 0 };
  await onFileWrites((write) => (bytes, from, length, at) => {
    disk.writes -= 1;
    if (disk.writes >= 0) return write(bytes, from, length, at);
    if (disk.writes === -1) return write(bytes, from, Math.floor(length / 2), at);
    disk.refused += 1;
    return Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
  });
  return disk;
}

test('of a log that is too long exactly so much is taken, however it comes', async () => {
  await using recording = await openRecording(files, Date.now, 10);
  expect(await recording.write(Buffer.from('one\n'))).toBe(true);
  expect(await recording.write(Buffer.from('twothr'))).toBe(true);
  expect(recording.offset).toBe(10);
  expect(await recording.write(Buffer.from('e'))).toBe(false);
  await recording.finish();
  expect(await log()).toBe('one\ntwothr');
  expect(await events()).toHaveLength(2);
});

test('a recording waits for room and goes on with the byte it stood at', async () => {
  const disk = await smallDisk();
  const told: boolean[] = [];
  const onFull = (full: boolean) => {
    told.push(full);
    if (disk.refused > 1) disk.writes = Infinity;
  };
  const { signal } = new AbortController();
  await withPatience({ signal, onFull }, async () => {
    await using recording = await openRecording(files, Date.now);
    await recording.write(Buffer.from('one\ntwo\n'));
    disk.writes = 0;
    await recording.write(Buffer.from('three\nfour\n'));
    await recording.finish();
  });
  expect(await log()).toBe('one\ntwo\nthree\nfour\n');
  expect((await events()).map((line) => (JSON.parse(line) as { offset: number }).offset)).toEqual([0, 4, 8, 14]);
  expect(told).toEqual([true, true, false]);
});

test('where nobody may wait, whoever comes next misses no event of what was half written', async () => {
  const disk = await smallDisk();
  const first = await openRecording(files, Date.now);
  await first.write(Buffer.from('one\n'));
  // The log has its bytes, the events do not.
  disk.writes = 1;
  await expect(first.write(Buffer.from('two\n'))).rejects.toThrow('ENOSPC');
  disk.writes = Infinity;
  await first.checkpoint();
  await first[Symbol.asyncDispose]();
  await using second = await openRecording(files, Date.now);
  await second.write(Buffer.from('one\ntwo\n').subarray(second.offset));
  await second.finish();
  expect(await log()).toBe('one\ntwo\n');
  expect(await events()).toHaveLength(2);
});

test('a wait for room ends with the step', async () => {
  const end = new AbortController();
  const full = () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }));
  const onFull = (isFull: boolean) => {
    if (isFull) end.abort(new Error('cancelled'));
  };
  await expect(withPatience({ signal: end.signal, onFull }, full)).rejects.toThrow('cancelled');
});

test('how long it was followed and silent goes on where another goes on, whatever the clock says', async () => {
  let [wall, elapsed] = [1_000_000, 0];
  vi.spyOn(performance, 'now').mockImplementation(() => elapsed);
  {
    await using recording = await openRecording(files, () => wall);
    elapsed += 40_000;
    await recording.write(Buffer.from('one\n'));
    wall += 86_400_000;
    elapsed += 31_000;
    expect(recording).toMatchObject({ followedMs: 71_000, silentMs: 31_000 });
    await recording.checkpoint();
    elapsed += 31_000;
    await recording.checkpoint();
  }
  wall = 0;
  elapsed = 5;
  await using next = await openRecording(files, () => wall);
  elapsed += 1000;
  expect(next).toMatchObject({ startedAt: 1_000_000, followedMs: 103_000, silentMs: 63_000 });
  await next.write(Buffer.from('two\n'));
  expect(next.silentMs).toBe(0);
});
