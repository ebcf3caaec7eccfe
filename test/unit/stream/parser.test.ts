import { readFileSync } from 'node:fs';
import { describe, expect, it, test } from 'vitest';
import type { StreamEvent } from '../../../src/domain/event.js';
import { createStreamParser, type ParserState } from '../../../src/stream/parser.js';
import { randomFrom, realisticLog, type Random } from '../../../bench/installer-log.js';
import { eventsOf } from './reading.js';

const recorded = (name: string) => readFileSync(new URL(`recorded/nix-2.8-${name}.log`, import.meta.url));

/** Bytes with everything in them that a parser could fall over, often. */
function nastyLog(random: Random, pieces: number): Buffer {
  const samples = [
    '\n',
    '\n',
    '\r',
    '\r\n',
    '\x1b[31m',
    '\x1b',
    '\x1b]0;',
    '::PHASE::X\n',
    '::METRIC::m::1\n',
    '@nix {',
    'ö',
    '😀',
  ];
  const more = [
    '\xff',
    '\0',
    '\b',
    ' ',
    ':',
    '@',
    'text',
    '%',
    'x'.repeat(9000),
    '\rget 5%',
    '@nix {"action":"stop","id":1}\n',
    '\x7f',
  ];
  const all = [...samples, ...more];
  const picks = Array.from({ length: pieces }, () => all[Math.floor(random() * all.length)] ?? '');
  return Buffer.concat(picks.map((text) => (text === '\xff' ? Buffer.from([0xff]) : Buffer.from(text))));
}

function randomBytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

const LOGS: readonly (readonly [name: string, log: Buffer])[] = [
  ['a realistic log', Buffer.from([...realisticLog(3000, randomFrom(2))].join(''))],
  ['recorded Nix', Buffer.concat([recorded('build-failed'), recorded('copy'), recorded('build-passed')])],
  ['nasty pieces', nastyLog(randomFrom(3), 4000)],
  ['random bytes', randomBytes(randomFrom(4), 100_000)],
  ['no newline', Buffer.from('ö\r'.repeat(70_000))],
  ['only newlines', Buffer.from('\n'.repeat(20_000))],
];

/** The lengths of chunks: single bytes, packets, windows and their edges. */
function chunkLength(random: Random): number {
  const scale = [1, 3, 60, 1500, 65_536, 150_000][Math.floor(random() * 6)] ?? 1;
  return 1 + Math.floor(random() * scale);
}

describe('any split gives the same events', () => {
  test.each(LOGS)('%s', (_, log) => {
    const whole = eventsOf(log);
    for (let seed = 1; seed <= 10; seed++) {
      const random = randomFrom(seed);
      const parser = createStreamParser();
      const events: StreamEvent[] = [];
      for (let at = 0; at < log.length;) {
        const end = at + chunkLength(random);
        events.push(...parser.push(log.subarray(at, end)));
        at = end;
      }
      events.push(...parser.end());
      expect(events).toEqual(whole);
      expect(parser.position().bytes).toBe(log.length);
    }
  });

  it('byte by byte', () => {
    const log = nastyLog(randomFrom(5), 300);
    const parser = createStreamParser();
    const events = Array.from(log, (byte) => parser.push(Uint8Array.of(byte))).flat();
    expect([...events, ...parser.end()]).toEqual(eventsOf(log));
  });
});

describe('any snapshot goes on with the same events', () => {
  test.each(LOGS)('%s', (_, log) => {
    const whole = eventsOf(log);
    for (let seed = 1; seed <= 10; seed++) {
      const random = randomFrom(seed);
      let parser = createStreamParser();
      const events: StreamEvent[] = [];
      let at = 0;
      for (let restarts = 0; at < log.length;) {
        const length = chunkLength(random);
        events.push(...parser.push(log.subarray(at, at + length)));
        at += length;
        if (restarts < 20 && random() < 0.1) {
          const state = JSON.parse(JSON.stringify(parser.snapshot())) as ParserState;
          expect(state.resumeOffset).toBeLessThanOrEqual(parser.position().bytes);
          parser = createStreamParser(state);
          at = state.resumeOffset;
          restarts++;
        }
      }
      events.push(...parser.end());
      expect(events).toEqual(whole);
    }
  });

  it('counts lines and bytes over a snapshot', () => {
    const first = createStreamParser();
    first.push(Buffer.from('one\ntwo\nthr'));
    expect(first.position()).toEqual({ bytes: 11, lines: 2 });
    const state = first.snapshot();
    expect(state).toMatchObject({ resumeOffset: 8, lines: 2 });
    const second = createStreamParser(state);
    second.push(Buffer.from('three\nfour'));
    expect(second.position()).toEqual({ bytes: 18, lines: 3 });
    expect(second.end()).toEqual([{ type: 'line', text: 'four', offset: 14 }]);
    expect(second.position()).toEqual({ bytes: 18, lines: 4 });
    expect(second.end()).toEqual([]);
  });
});

describe('hostile logs', () => {
  const megabyte = Buffer.alloc(1024 * 1024, 'x');

  it('keeps 8 KiB of a line of 10 MB', () => {
    const parser = createStreamParser();
    for (let part = 0; part < 10; part++) expect(parser.push(megabyte)).toEqual([]);
    expect(parser.currentLine()).toBe('x'.repeat(8192));
    expect(parser.push(Buffer.from('\nnext\n'))).toEqual([
      { type: 'line', text: 'x'.repeat(8192), truncatedBytes: 10 * megabyte.length, offset: 0 },
      { type: 'line', text: 'next', offset: 10 * megabyte.length + 1 },
    ]);
  });

  it('does not grow with a line of 200 MB, nor its snapshot', () => {
    const parser = createStreamParser();
    parser.push(megabyte);
    const before = process.memoryUsage().arrayBuffers;
    for (let part = 0; part < 200; part++) parser.push(megabyte);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * megabyte.length);
    expect(JSON.stringify(parser.snapshot()).length).toBeLessThan(1000);
  });

  it('shows the last state of an endless progress bar', () => {
    const parser = createStreamParser();
    for (let at = 0; at <= 100_000; at++) parser.push(Buffer.from(`\rreceiving ${at} of 100000`));
    expect(parser.currentLine()).toBe('receiving 100000 of 100000');
    parser.push(Buffer.from('\r'));
    expect(parser.currentLine()).toBe('receiving 100000 of 100000');
    expect(parser.push(Buffer.from('done\x1b[K\n'))).toEqual([{ type: 'line', text: 'done', offset: 0 }]);
    expect(parser.currentLine()).toBe('');
  });

  it('gives texts without control characters for random bytes', () => {
    for (const event of eventsOf(randomBytes(randomFrom(6), 100_000))) {
      expect(JSON.stringify(event)).not.toMatch(/\\u00[01]|\\u007f|[\x00-\x1f\x7f-\x9f]/);
    }
  });

  it('may be given the same buffer again', () => {
    const parser = createStreamParser();
    const buffer = Buffer.from('first line\nbegin');
    const events = parser.push(buffer);
    buffer.fill('z');
    expect(events).toEqual([{ type: 'line', text: 'first line', offset: 0 }]);
    expect(parser.currentLine()).toBe('begin');
  });

  it('reads bytes at any address of a larger buffer', () => {
    const log = Buffer.from('..one\ntwo\n');
    for (let at = 0; at < 3; at++) {
      const parser = createStreamParser();
      expect(parser.push(log.subarray(at)).at(-1)).toEqual({ type: 'line', text: 'two', offset: 6 - at });
    }
  });
});
