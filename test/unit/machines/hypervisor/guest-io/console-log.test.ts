import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CONSOLE_HEAD_BYTES } from '../../../../../src/domain/console.js';
import { openConsoleLog } from '../../../../../src/machines/hypervisor/guest-io/console-log.js';

const MIB = 2 ** 20;
const NOTICE = /\n\[nixproof: (\d+) bytes of the console were dropped here: its log has at most 16 MiB\]\n/;

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'nixproof-console-'));
  file = path.join(folder, 'console.log');
});
afterEach(() => rm(folder, { recursive: true }));

/** Numbered lines of 16 bytes. */
function lines(from: number, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, (_, index) => `${String(from + index).padStart(15)}\n`).join(''));
}

describe('the log of a serial console', () => {
  test('is what the guest printed, behind what was there', async () => {
    for (const text of ['first\n', 'second\n']) {
      using log = openConsoleLog(file);
      log.write(Buffer.from(text));
    }
    expect(await readFile(file, 'utf8')).toBe('first\nsecond\n');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test('keeps its first and its newest bytes, and says how many are missing between them', async () => {
    const all = lines(0, (40 * MIB) / 16);
    const sizes: number[] = [];
    for (let at = 0; at < all.length; at += 3 * MIB) {
      // A machine is restarted now and then.
      using log = openConsoleLog(file);
      log.write(all.subarray(at, at + 3 * MIB));
      sizes.push((await stat(file)).size);
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(16 * MIB);
    const kept = await readFile(file);
    expect(kept.subarray(0, CONSOLE_HEAD_BYTES).equals(all.subarray(0, CONSOLE_HEAD_BYTES))).toBe(true);
    const [notice = '', dropped] = NOTICE.exec(kept.toString('latin1', CONSOLE_HEAD_BYTES)) ?? [];
    const tail = kept.subarray(CONSOLE_HEAD_BYTES + notice.length);
    expect(tail.equals(all.subarray(all.length - tail.length))).toBe(true);
    expect(tail.length).toBeGreaterThanOrEqual(4 * MIB);
    // The notices of earlier cuts were dropped as well.
    const missing = all.length - CONSOLE_HEAD_BYTES - tail.length;
    expect(Number(dropped) - missing).toBeGreaterThanOrEqual(0);
    expect(Number(dropped) - missing).toBeLessThan(1000);
  });

  test('a disk without room drops what it cannot hold, and says so when there is room', () => {
    // /dev/full(4) is one.
    using log = openConsoleLog('/dev/full');
    expect(() => log.write(Buffer.from('lost'))).not.toThrow();
  });
});
