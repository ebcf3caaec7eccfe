import { expect, test } from 'vitest';
import { runCommand } from '../../src/host/process.js';
import { PROGRAM } from '../docs/command-line.js';

const LOG = 'partitioning\nError: Could not stat device /dev/sda - No such file or directory.\n';
const diagnose = (...options: readonly string[]) =>
  runCommand(process.execPath, [PROGRAM, 'diagnose', '-', ...options], { input: LOG });

test('a log’s failure is named with the heals there are for it', async () => {
  expect(JSON.parse(await diagnose('--json'))).toEqual({
    diagnoses: [
      {
        class: 'disk.not-found',
        confidence: 0.93,
        line: 1,
        evidence: ['Error: Could not stat device /dev/sda - No such file or directory.'],
        why: 'there is no such disk: /dev/sda',
        heals: ['use-the-found-disk', 'wait-for-the-device', 'alias-the-missing-disk'],
      },
    ],
  });
});

test('and for people', async () => {
  expect((await diagnose()).trimEnd()).toBe(`disk.not-found  (confidence 0.93)
  there is no such disk: /dev/sda
  line 2       Error: Could not stat device /dev/sda - No such file or directory.
  heals        use-the-found-disk, wait-for-the-device, alias-the-missing-disk`);
});
