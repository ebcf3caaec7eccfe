import { describe, expect, it, test } from 'vitest';
import { eventOf, eventsOf } from './reading.js';

const textOf = (line: string | Uint8Array): unknown => {
  const event = eventOf(line);
  return event?.type === 'line' && 'text' in event ? event.text : event;
};

describe('the text of a line', () => {
  test.each([
    ['plain', 'hello, world', 'hello, world'],
    ['empty', '', ''],
    ['blanks kept', '  indented\t', '  indented\t'],
    ['CRLF', 'hello\r', 'hello'],
    ['colours', '\x1b[1;32m  OK  \x1b[0m Reached \x1b[0;1;39mtarget\x1b[0m.', '  OK   Reached target.'],
    ['window title', '\x1b]0;root@nixos\x07done', 'done'],
    ['hyperlink', '\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\', 'link'],
    ['unfinished title', 'a\x1b]0;evil', 'a0;evil'],
    ['unfinished sequence', 'a\x1b[31', 'a'],
    ['device control string', 'a\x1bPq#0\x1b\\b', 'ab'],
    ['charset and keypad', '\x1b(B\x1b=x', 'x'],
    ['lone escape', 'a\x1b', 'a'],
    ['progress bar', 'get 10%\rget 50%\rget 100%', 'get 100%'],
    ['progress bar, return at the end', 'get 10%\rget 50%\r', 'get 50%'],
    ['returns at the end', 'done\r\r\r', 'done'],
    ['only returns', '\r\r', ''],
    ['backspaces', 'inodes: 0/16\b\b\b\b1/16\b\b\b\bdone', 'inodes: done'],
    ['backspace at the beginning', '\b\bx', 'x'],
    ['NUL and bell', 'a\0b\x07c', 'abc'],
    ['DEL', 'a\x7fb', 'ab'],
    ['C1', 'a\u009b31mb', 'a31mb'],
    ['right-to-left override', 'a\u202egnp.exe', 'agnp.exe'],
    ['umlauts', 'Größe – übernommen', 'Größe – übernommen'],
    ['four bytes', '✅ 😀 done', '✅ 😀 done'],
  ])('%s', (_, line, text) => {
    expect(textOf(line)).toBe(text);
  });

  it('has U+FFFD for what is no UTF-8', () => {
    expect(textOf(Buffer.from([0x61, 0xff, 0x62, 0xc3]))).toBe('a\ufffdb\ufffd');
    expect(textOf(Buffer.from([0xed, 0xa0, 0x80]))).toMatch(/^\ufffd+$/);
  });

  it('is cut after 8 KiB, and says how long the line was', () => {
    const line = 'x'.repeat(8193);
    expect(eventOf(line)).toEqual({ type: 'line', text: 'x'.repeat(8192), truncatedBytes: 8193 });
    expect(eventOf('x'.repeat(8192))).toEqual({ type: 'line', text: 'x'.repeat(8192) });
  });

  it('is not cut inside a character', () => {
    const line = `x${'ö'.repeat(5000)}`;
    expect(eventOf(line)).toEqual({ type: 'line', text: `x${'ö'.repeat(4095)}`, truncatedBytes: 10_001 });
  });
});

describe('offsets', () => {
  it('are those of the first bytes of lines, in bytes', () => {
    expect(eventsOf('é\n\n::PHASE::X\r\nend')).toEqual([
      { type: 'line', text: 'é', offset: 0 },
      { type: 'line', text: '', offset: 3 },
      { type: 'phase', name: 'X', offset: 4 },
      { type: 'line', text: 'end', offset: 16 },
    ]);
  });
});
