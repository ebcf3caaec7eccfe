import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { diagnoseFailed } from '../../../src/activities/install/diagnose-attempt.js';
import { isIncomplete } from '../../../src/domain/diagnosis.js';
import { failureOf } from '../../../src/domain/failure.js';
import { diagnose } from '../../../src/diagnosis/diagnose-log.js';
import { ReadingBrokenOff, readInThread } from '../../../src/diagnosis/pool.js';

/** Takes a thread minutes: several states for each character of several megabytes. */
const ENDLESS = { pattern: `${'(.*)'.repeat(12)}[xyz]`, text: 'a'.repeat(1 << 22) };
const LIMITS = { budgetMs: 60_000 };

const endless = (limits: { readonly signal?: AbortSignal; readonly budgetMs: number }) =>
  readInThread('matches', ENDLESS, limits);

/** A log of lines that are dear for the rules, each of another kind. */
function dearLog(bytes: number): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'nixproof-reading-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const pieces = [
    'mkfs.A ',
    'ssh connect ',
    'error: ',
    '/dev/zd',
    'swapoff f',
    'kexec: ',
    'Assertion ',
    'fdt_aa fail ',
  ];
  const lines: string[] = [];
  for (let at = 0, size = 0; size < bytes; at++) {
    const piece = pieces[at % pieces.length] ?? '';
    const line = `${String.fromCharCode(97 + (at % 26)).repeat(1 + (at % 40))} failed ${piece.repeat(1900 / piece.length)}`;
    lines.push(line);
    size += line.length + 1;
  }
  const log = path.join(folder, 'install.log');
  writeFileSync(log, lines.join('\n'));
  return log;
}

test('what takes a thread for ever ends with its budget, and the next read has a thread', async () => {
  await expect(endless({ budgetMs: 200 })).rejects.toBeInstanceOf(ReadingBrokenOff);
  expect(await readInThread('matches', { pattern: '^b', text: 'bc' }, LIMITS)).toBe(true);
});

test('who is cancelled waits neither for a thread nor for its read', async () => {
  const cancelled = new AbortController();
  const reads = Array.from({ length: 4 }, () => endless({ signal: cancelled.signal, ...LIMITS }));
  const ends = Promise.allSettled(reads);
  // A turn of the event loop, which the threads do not hold up.
  await new Promise((resolve) => setImmediate(resolve));
  cancelled.abort(new Error('cancelled'));
  expect((await ends).map((end) => end.status === 'rejected' && (end.reason as Error).message)).toEqual(
    Array(4).fill('cancelled'),
  );
  expect(await readInThread('matches', { pattern: 'b$', text: 'ab' }, LIMITS)).toBe(true);
});

test('what a task throws is its own error, and its thread reads on', async () => {
  const read = readInThread('matches', { pattern: '(', text: '' }, LIMITS);
  await expect(read).rejects.toThrow('missing closing )');
  await expect(read).rejects.not.toBeInstanceOf(ReadingBrokenOff);
});

test('a log that is not read to its end is told as such, with what was found before', async () => {
  const file = dearLog(1 << 16);
  writeFileSync(file, `No space left on device\n${'x'.repeat(300_000)}\n`, { flag: 'r+' });
  const found = await diagnose({ file, failed: true, budgetMs: 0 });
  expect(found.at(-1)).toMatchObject({ class: 'unknown', confidence: 0, rule: 'end/incomplete' });
  expect(found.at(-1)?.why).toMatch(/^diagnosis incomplete: after 0 s its first \d+ lines were read$/);
  expect(found.filter(isIncomplete)).toHaveLength(1);
});

test('the failure says that its diagnosis is incomplete, and is never “nothing failed”', () => {
  const failure = failureOf({
    end: { kind: 'exited', exitCode: 2 },
    startedAt: 0,
    endedAt: 1,
    phases: [],
    errors: [],
    tail: [{ text: 'bye', offset: 7 }],
    barrier: 0,
    checkpoints: [],
    log: { bytes: 10, lines: 1, sha256: '', verified: true },
    diagnoses: [
      {
        class: 'unknown',
        confidence: 0,
        line: 0,
        offset: 0,
        evidence: [],
        why: 'diagnosis incomplete: late',
        rule: 'end/incomplete',
        captures: {},
      },
    ],
  });
  expect(failure).toMatchObject({
    class: 'unknown',
    line: 'bye',
    offset: 7,
    reason: 'the installer ended with exit status 2; diagnosis incomplete: late',
  });
});

test('the event loop turns while a megabyte of the worst lines are diagnosed', async () => {
  const file = dearLog(1 << 20);
  let last = performance.eventLoopUtilization();
  let busy = 0;
  const timer = setInterval(() => {
    const now = performance.eventLoopUtilization();
    busy += performance.eventLoopUtilization(now, last).active;
    last = now;
  }, 20);
  const before = process.cpuUsage();
  const found = await diagnoseFailed({ file }, new AbortController().signal);
  clearInterval(timer);
  const { user, system } = process.cpuUsage(before);
  expect(found).not.toEqual([]);
  // Nearly all of it was a thread's.
  expect(busy).toBeLessThan((user + system) / 1000 / 4);
});
