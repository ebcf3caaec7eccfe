import { describe, expect, it, test } from 'vitest';
import { fractionOf } from '../../../src/stream/markers.js';
import { eventOf } from './reading.js';

const line = (text: string) => ({ type: 'line', text });

describe('markers', () => {
  test.each([
    ['::PHASE::DISK_PARTITIONING', { type: 'phase', name: 'DISK_PARTITIONING' }],
    ['::SUCCESS::Disk partitioning complete', { type: 'success', message: 'Disk partitioning complete' }],
    ['::ERROR::no disk: /dev/vda', { type: 'error', message: 'no disk: /dev/vda' }],
    ['::WARNING::low memory::512', { type: 'warning', message: 'low memory::512' }],
    ['::CONTEXT::Using Btrfs with compression', { type: 'context', message: 'Using Btrfs with compression' }],
    ['::PROGRESS::copy::3/10', { type: 'progress', stage: 'copy', details: '3/10', fraction: 0.3 }],
    ['::PROGRESS::copy::almost there', { type: 'progress', stage: 'copy', details: 'almost there' }],
    ['::PROGRESS::copy', { type: 'progress', stage: 'copy', details: '' }],
    ['::PROGRESS::a::b::50%', { type: 'progress', stage: 'a', details: 'b::50%', fraction: 0.5 }],
    ['::METRIC::mem_mib::512', { type: 'metric', name: 'mem_mib', value: 512 }],
    ['::METRIC::load:: -1.5e-3 ', { type: 'metric', name: 'load', value: -0.0015 }],
  ])('%s', (text, event) => {
    expect(eventOf(text)).toEqual(event);
  });

  test.each([
    ['CRLF', '::PHASE::X\r'],
    ['blanks around', ' \t::PHASE::X  '],
    ['colours in front and behind', '\x1b[1;32m::PHASE::X\x1b[0m'],
    ['a colour inside', '::PHASE::\x1b[1mX\x1b[22m'],
    ['drawn over a progress bar', ' 99% done\r::PHASE::X'],
    ['control characters in the name', '::PHASE::\x00X\x07'],
  ])('is found with %s', (_, text) => {
    expect(eventOf(text)).toEqual({ type: 'phase', name: 'X' });
  });

  test.each([
    'x ::PHASE::X',
    '[12:00:01] ::PHASE::X',
    '::PHASE::',
    '::PHASE::   ',
    '::phase::X',
    '::PHASE:X',
    '::UNKNOWN::X',
    '::__proto__::X',
    '::CONSTRUCTOR::X',
    ':PHASE::X',
    '::',
    ':',
    '::METRIC::x',
    '::METRIC::x::',
    '::METRIC::x::many',
    '::METRIC::x::12MB',
    '::METRIC::x::0x10',
    '::METRIC::x::1e999',
    '::METRIC::x::NaN',
    '::METRIC::::1',
    '::PROGRESS::',
    '::PROGRESS::::1/2',
  ])('%s is a plain line', (text) => {
    expect(eventOf(text)).toEqual(line(text));
  });

  it('bounds names and details', () => {
    expect(eventOf(`::PHASE::${'x'.repeat(5000)}`)).toEqual({ type: 'phase', name: 'x'.repeat(200) });
    expect(eventOf(`::PHASE::${'x'.repeat(199)}😀`)).toEqual({ type: 'phase', name: 'x'.repeat(199) });
    expect(eventOf(`::PROGRESS::s::${'1'.repeat(8000)}`)).toEqual({
      type: 'progress',
      stage: 's',
      details: '1'.repeat(500),
    });
  });

  it('keeps the beginning of a message of a megabyte', () => {
    const event = eventOf(`::ERROR::${'e'.repeat(1_000_000)}`);
    expect(event).toEqual({ type: 'error', message: 'e'.repeat(8192 - '::ERROR::'.length) });
  });
});

describe('fractions', () => {
  test.each([
    ['45%', 0.45],
    ['45.5 %', 0.455],
    ['copying 7% of it', 0.07],
    ['3/10', 0.3],
    ['(3/10)', 0.3],
    ['file 3 of 10', 0.3],
    ['1.5/3', 0.5],
    ['10/5', 1],
    ['250%', 1],
    ['0/3', 0],
    ['1/2, 75%', 0.75],
  ])('%s', (details, fraction) => {
    expect(fractionOf(details)).toBeCloseTo(fraction, 10);
  });

  test.each(['', '3/0', '/dev/sda1/2', 'disk1/2', '2026/11/23', 'a%', '%'])('none in %j', (details) => {
    expect(fractionOf(details)).toBeUndefined();
  });
});
