import { describe, expect, test } from 'vitest';
import { createFrameFilter } from '../../../../../src/machines/hypervisor/guest-io/frames.js';

const framed = (text: string) => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};
const isGood = (frame: Buffer) => !frame.toString().startsWith('bad');
const STREAM = ['one', 'bad', 'two', 'three', '', 'bad too', 'bad three', 'four'];
const EXPECTED = Buffer.concat(STREAM.filter((text) => !text.startsWith('bad')).map(framed));

describe('a stream of frames', () => {
  test.each([1, 2, 3, 5, 7, 1000])('loses the bad ones and no byte of the others, in chunks of %i', (size) => {
    const stream = Buffer.concat(STREAM.map(framed));
    const cut = createFrameFilter(isGood);
    const pieces: Buffer[] = [];
    for (let at = 0; at < stream.length; at += size)
      for (const piece of cut(stream.subarray(at, at + size))) pieces.push(Buffer.from(piece));
    expect(Buffer.concat(pieces)).toEqual(EXPECTED);
  });

  test('gives neighbours in one piece', () => {
    expect(createFrameFilter(isGood)(Buffer.concat(STREAM.map(framed)))).toHaveLength(3);
  });

  test('ends where a length cannot be one', () => {
    expect(() => createFrameFilter(isGood)(Buffer.from('ffffffff', 'hex'))).toThrow('a frame of 4294967295 bytes');
  });
});
