import { expect, test } from 'vitest';
import { CONSOLE_HEAD_BYTES } from '../../../src/domain/console.js';
import { timedLines } from '../../../src/records/console-times.js';

const note = (offset: number, at: number) => JSON.stringify({ offset, at });
const lines = (text: string, ...notes: string[]) =>
  [...timedLines(Buffer.from(text), `${notes.join('\n')}\n`)].map(({ at, text }) => [at, text]);

test('each line of the console has the time at which all of it was there', () => {
  expect(lines('GRUB\r\nLinux\nlogin: ', note(6, 1000), note(8, 2000), note(19, 3000))).toEqual([
    [1000, 'GRUB'],
    [3000, 'Linux'],
    [3000, 'login: '],
  ]);
});

test('what nobody noted has no time, and a note that was cut off is none', () => {
  expect(lines('a\nb\n', note(2, 1000), '{"offset":4,"a')).toEqual([
    [1000, 'a'],
    [undefined, 'b'],
  ]);
  expect(lines('', note(2, 1000))).toEqual([]);
});

test('a console that was begun anew has none of the earlier one’s times', () => {
  expect(lines('a\nb\n', note(100, 1000), note(2, 2000), note(4, 3000))).toEqual([
    [2000, 'a'],
    [3000, 'b'],
  ]);
});

test('a log that was cut behind its head keeps the times of its head', () => {
  const head = `${'x'.repeat(CONSOLE_HEAD_BYTES - 1)}\n`;
  const cut = [note(head.length, 1000), note(2 * head.length, 2000), note(head.length + 4, 3000)];
  expect(lines(`${head}new\n`, ...cut).map(([at]) => at)).toEqual([1000, 3000]);
});
