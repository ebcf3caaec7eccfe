import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openRecording, type Recording } from '../../../../src/activities/install/recording.js';
import { runFiles, type AttemptFiles } from '../../../../src/records/artifacts.js';
import { createRedactor } from '../../../../src/secrets/redactor.js';

const SECRET = 'correct\nhorse battery staple';
const redactor = createRedactor([Buffer.from(SECRET)]);
const encoded = Buffer.from(`user:${SECRET}`).toString('base64').replaceAll(/.{12}/g, '$&\n');
/**
 * What a guest's log holds: the secret in several lines, in base64 over several lines, and beside a
 * marker.
 */
const LOG = Buffer.from(`::PHASE::ONE\n${SECRET}\n${encoded}\n::PHASE::TWO\n> ${SECRET} <\nend`);

let folder: string;
let files: AttemptFiles;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-secret-recording-'));
  files = runFiles(folder, 'vm-1').attempt(1);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const open = () => openRecording(files, Date.now, undefined, redactor);
const sumOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
/** Gives a recording the guest's log from the byte that it wants, in chunks of a size. */
async function feed(recording: Recording, until: number, size: number): Promise<void> {
  while (recording.next < until) {
    await recording.write(LOG.subarray(recording.next, Math.min(until, recording.next + size)));
  }
}

test('a follower that is killed anywhere leaves the same artifact, masked, and sums of all that the guest has', async () => {
  const expected = redactor.bytes(LOG);
  for (let killedAt = 0; killedAt <= LOG.length; killedAt += 4) {
    await rm(files.folder, { recursive: true, force: true });
    const size = 1 + (killedAt % 9);
    {
      await using first = await open();
      await feed(first, killedAt, size);
      // What is written behind the checkpoint is lost.
      await first.checkpoint();
      await feed(first, Math.min(LOG.length, killedAt + 5), 1);
    }
    await using second = await open();
    await feed(second, LOG.length, 7);
    const ranges = second.parts;
    const { sha256, parts } = await second.finish();
    const artifact = await readFile(files.log);
    expect(artifact).toHaveLength(LOG.length);
    expect(artifact.toString()).not.toMatch(/correct|horse|battery|staple|Y29ycm|aG9yc2|YmF0dG/);
    expect(sha256).toBe(sumOf(artifact));
    expect(second.lines).toBe(expected.toString().split('\n').length);
    expect(parts.map(({ from, to }) => ({ from, to }))).toEqual(ranges.map(({ from, to }) => ({ from, to })));
    for (const { from, to, sha256: sum } of parts) expect(sum).toBe(sumOf(LOG.subarray(from, to)));
    expect(parts[0]?.from).toBe(0);
    parts.slice(1).forEach(({ from }, index) => expect(from).toBeLessThanOrEqual(parts[index]?.to ?? 0));
    expect(parts.at(-1)?.to).toBe(LOG.length);
    const written = [await readFile(files.events, 'utf8'), await readFile(files.follow, 'utf8').catch(() => '')].join();
    expect(written).not.toMatch(/correct|horse|battery|staple/);
    expect(second.summary.phases.map(({ name }) => name)).toEqual(['ONE', 'TWO']);
  }
});

test('what is held back counts as come, and is written where the installer waits', async () => {
  await using recording = await open();
  await recording.write(Buffer.from('> correct\n'));
  expect([recording.next, recording.offset, recording.holding]).toEqual([10, 2, true]);
  await recording.settle();
  expect([recording.next, recording.offset]).toEqual([10, 10]);
  await recording.write(Buffer.from('horse battery staple <\n'));
  await recording.finish();
  expect(await readFile(files.log, 'utf8')).toBe(`> ${'*'.repeat(7)}\n${'*'.repeat(20)} <\n`);
});

test('a log that is cut at its limit in the middle of a secret is masked to its end', async () => {
  await using recording = await openRecording(files, Date.now, 20, redactor);
  expect(await recording.write(Buffer.from('0123456789correct\nhorse'))).toBe(false);
  const { parts } = await recording.finish();
  expect(await readFile(files.log, 'utf8')).toBe('0123456789*******\n**');
  expect(parts).toMatchObject([{ from: 0, to: 20, sha256: sumOf(Buffer.from('0123456789correct\nho')) }]);
});

test('a secret that is whole only when its line is read is in no event, and in nothing that is kept', async () => {
  const lines = [
    `@nix ${JSON.stringify({ action: 'msg', level: 0, msg: 'error: horse batt\u001b[31;1mery staple' })}`,
    '::ERROR::horse battxx\b\bery staple',
    '::PHASE::horse battxx\b\bery staple',
  ];
  await using recording = await open();
  await recording.write(Buffer.from(`${lines.join('\n')}\n`));
  await recording.checkpoint();
  await recording.finish();
  for (const file of [files.events, files.follow]) expect(await readFile(file, 'utf8')).not.toContain('battery');
  expect(JSON.stringify(recording.summary)).not.toContain('battery');
});

test('without secrets the sum is that of the artifact', async () => {
  await using recording = await openRecording(files, Date.now);
  await recording.write(Buffer.from('one\n'));
  const { sha256, parts } = await recording.finish();
  expect(parts).toEqual([{ from: 0, to: 4, sha256 }]);
});
