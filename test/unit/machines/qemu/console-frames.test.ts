import { describe, expect, test } from 'vitest';
import {
  commandText,
  createLineCutter,
  createWindow,
  frameIn,
  greetingText,
  windowText,
} from '../../../../src/machines/qemu/console-frames.js';

const MARK = '0123456789abcdef0123456789abcdef';
const base64 = (text: string) => Buffer.from(text).toString('base64');
const dataLine = (number: number, text: string) => `${MARK} ${number} ${base64(text).length} ${base64(text)}`;
const framesIn = (lines: readonly string[]) => lines.map((line) => frameIn(line, MARK)).filter((frame) => frame);

/** What comes of a window of that size. */
function windowOf(bytes: number, lines: readonly string[]): unknown {
  const window = createWindow(bytes);
  let result: unknown;
  for (const frame of framesIn(lines)) if (frame) result = window.take(frame);
  return result;
}

describe('a frame', () => {
  test.each([
    ['alone', dataLine(3, 'hello'), { kind: 'data', number: 3, bytes: Buffer.from('hello') }],
    ['behind a prompt', `# # ${dataLine(3, 'hello')}\r`, { kind: 'data', number: 3, bytes: Buffer.from('hello') }],
    [
      'before a kernel message',
      `${dataLine(1, 'a')}[  12.5] eth0: up`,
      { kind: 'data', number: 1, bytes: Buffer.from('a') },
    ],
    ['cut short', dataLine(1, 'hello').slice(0, -3), { kind: 'damaged' }],
    ['broken in its middle', dataLine(1, 'hello').replace('Vs', '[1'), { kind: 'damaged' }],
    ['of no kind', `${MARK} what`, { kind: 'damaged' }],
    ['the last one', `${MARK} end 12`, { kind: 'end', frames: 12 }],
    ['of the exit status', `\x1b[?2004l\r${MARK} status 137 12\r`, { kind: 'status', exitCode: 137, bytes: 12 }],
    ['of an exit status cut short', `${MARK} status 137`, { kind: 'damaged' }],
    ['of a shell that is ready', `${MARK} ready 1000`, { kind: 'ready', uid: 1000 }],
    ['of another mark', dataLine(1, 'x').replace('0', '1'), undefined],
    ['none', 'login: ', undefined],
  ])('%s', (_what, line, frame) => {
    expect(frameIn(line, MARK)).toEqual(frame);
  });
});

describe('a window', () => {
  const end = `${MARK} end 2`;

  test('is put together from its frames, whatever comes in between', () => {
    const lines = [dataLine(1, 'one\n'), '[ 1.0] noise', `[ 2.0] noise ${dataLine(2, 'two\n')}`, 'more', end];
    expect(windowOf(8, lines)).toEqual(Buffer.from('one\ntwo\n'));
  });

  test('may be empty', () => {
    expect(windowOf(0, [`${MARK} end 0`])).toEqual(Buffer.alloc(0));
  });

  test('is only there with its end', () => {
    expect(windowOf(3, [dataLine(1, 'one')])).toBeUndefined();
  });

  test.each([
    ['a frame is missing', [dataLine(1, 'one'), end]],
    ['frames come in another order', [dataLine(2, 'two'), dataLine(1, 'one'), end]],
    ['a frame came twice', [dataLine(1, 'one'), dataLine(1, 'one'), end]],
    ['a frame is damaged', [dataLine(1, 'one'), dataLine(2, 'two').slice(0, -1), end]],
    ['it is too short', [dataLine(1, 'one'), dataLine(2, 'tw'), end]],
  ])('%s: nothing is taken for whole that is not', (_what, lines) => {
    expect(windowOf(6, lines)).toBe('damaged');
  });
});

describe('what is typed', () => {
  test('fits a terminal’s lines, however long the command is', () => {
    const text = commandText(['sh', '-c', 'x'.repeat(100_000)], MARK);
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThan(1100);
  });

  test('holds no control character and no mark, so that an echo answers nothing', () => {
    for (const text of [commandText(['printf', '\x03\x04\x1a'], MARK), greetingText(MARK), windowText(7, MARK)]) {
      expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f]/);
      expect(framesIn(text.split('\n'))).toEqual([]);
    }
  });
});

describe('lines', () => {
  test('are the same however the bytes arrive', () => {
    const bytes = Buffer.from(`noise\r\n${dataLine(1, 'one')}\nrest`);
    const whole = createLineCutter()(bytes);
    const cut = createLineCutter();
    expect([...bytes].flatMap((byte) => cut(Buffer.from([byte])))).toEqual(whole);
    expect(whole).toEqual(['noise\r', dataLine(1, 'one')]);
  });

  test('that never end are not kept', () => {
    const cut = createLineCutter();
    for (let index = 0; index < 100; index++) cut(Buffer.alloc(100_000, 'x'));
    const [line = ''] = cut(Buffer.from(`${dataLine(1, 'one')}\n`));
    expect(line.length).toBeLessThan(10_000);
    expect(frameIn(line, MARK)).toMatchObject({ kind: 'data', number: 1 });
  });
});
