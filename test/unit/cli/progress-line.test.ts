import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createProgressLine } from '../../../src/cli/live/progress-line.js';
import { stripTerminal } from '../../../src/reports/escape.js';

test('one line with a bar is drawn over, and another matter begins a new one', () => {
  const terminal = Object.assign(new PassThrough(), { columns: 100, rows: 24, isTTY: true });
  const line = createProgressLine(terminal as unknown as NodeJS.WriteStream);
  const messages = ['downloading: 5 %, 5 of 100 MiB', 'downloading: 50 %, 50 of 100 MiB', 'verifying its SHA-256'];
  for (const message of messages) line.show(message);
  line.end();
  // From Node 26 on, read() gives one chunk at a time.
  let drawn = '';
  for (let chunk: Buffer | null; (chunk = terminal.read() as Buffer | null);) drawn += chunk.toString();
  const shown = stripTerminal(drawn).split('\n');
  expect(shown[0]).toMatch(/█░{19} downloading: 5 %, 5 of 100 MiB$/);
  expect(shown[1]).toMatch(/█{10}░{10} downloading: 50 %, 50 of 100 MiB$/);
  expect(shown[2]).toMatch(/verifying its SHA-256$/);
  // Only the first was drawn over.
  expect(drawn.match(/\x1b\[1A/g)).toHaveLength(1);
});
