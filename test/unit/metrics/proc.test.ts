import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { PROC_FILES, parseProc } from '../../../src/metrics/proc.js';

const recorded = await readFile(new URL('proc-debian-12.txt', import.meta.url), 'utf8');
const KIB = 1024;

describe('what /proc tells of a system', () => {
  test('a Debian guest with one processor and two disks, right after its boot', () => {
    expect(parseProc(recorded)).toEqual({
      clock: 60.09,
      levels: { load: 3.36, 'memory.used': (989_240 - 800_868) * KIB },
      counters: {
        cpu: 20.76 + 30.35 + 0.51,
        'disk.read': (147_194 + 2408) * 512,
        'disk.write': 2112 * 512,
        'network.receive': 24_931,
        'network.send': 24_203,
      },
    });
  });

  test.runIf(process.platform === 'linux')('this host’s', async () => {
    const texts = await Promise.all(PROC_FILES.map((file) => readFile(file, 'utf8')));
    const read = parseProc(texts.join(''));
    expect(read?.clock).toBeGreaterThan(0);
    expect(read?.levels['memory.used']).toBeGreaterThan(0);
    expect(read?.counters['cpu']).toBeGreaterThan(0);
    expect(read?.counters['cpu']).toBeLessThanOrEqual((read?.clock ?? 0) * 1.01);
  });

  test.each<[name: string, text: string, levels: object, counters: object]>([
    [
      'processors: a share of all of them',
      'cpu  100 100 200 900 900 0 100 9 0 0\ncpu0 1 1\ncpu1 1 1',
      {},
      { cpu: 2.5 },
    ],
    ['swap that is there', 'SwapTotal: 100 kB\nSwapFree: 60 kB', { 'swap.used': 40 * KIB }, {}],
    ['no swap', 'SwapTotal: 0 kB\nSwapFree: 0 kB', {}, {}],
    [
      'every disk once: no partitions, nor what is made of disks',
      [
        '259 0 nvme0n1 1 1 10 1 1 1 20 1 0 0 0',
        '259 1 nvme0n1p1 1 1 9 1 1 1 9 1 0 0 0',
        '8 0 sda 1 1 100 1 1 1 200 1 0 0 0',
        '8 1 sda1 1 1 99 1 1 1 99 1 0 0 0',
        '252 0 dm-0 1 1 99 1 1 1 99 1 0 0 0',
        '9 0 md0 1 1 99 1 1 1 99 1 0 0 0',
        '179 0 mmcblk0 1 1 1000 1 1 1 2000 1 0 0 0',
      ].join('\n'),
      {},
      { 'disk.read': 1110 * 512, 'disk.write': 2220 * 512 },
    ],
    [
      'every interface but the loopback, with or without a blank behind the colon',
      'lo: 9 0 0 0 0 0 0 0 9 0 0 0 0 0 0 0\n eth0:1000 0 0 0 0 0 0 0 10 0 0 0 0 0 0 0\nwlan0: 1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0',
      {},
      { 'network.receive': 1001, 'network.send': 12 },
    ],
    [
      'numbers that are none',
      'MemTotal: 1e999 kB\nMemAvailable: x kB\nSwapTotal: 5 kB\nSwapFree: 9 kB\ncpu a b c d e f g\ncpu0 1\n8 0 sda 1 1 -5 1 1 1 NaN',
      {},
      {},
    ],
    ['a line of a megabyte', `eth0: ${'1 '.repeat(1 << 19)}`, {}, {}],
  ])('%s', (_, text, levels, counters) => {
    expect(parseProc(`100.00 50.00\n${text}\n`)).toEqual({ clock: 100, levels, counters });
  });

  test('a guest without a clock tells nothing', () => {
    expect(parseProc('')).toBeUndefined();
    expect(parseProc(recorded.replace('60.09', 'soon'))).toBeUndefined();
  });
});
