import { crc32, inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { pngOfPpm } from '../../../src/machines/png.js';

const PIXELS = Buffer.from([255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3]);

/** The chunks of a PNG, each checked against its sum. */
function chunksOf(png: Buffer): readonly { readonly type: string; readonly data: Buffer }[] {
  const chunks = [];
  for (let at = 8; at < png.length;) {
    const length = png.readUInt32BE(at);
    const typed = png.subarray(at + 4, at + 8 + length);
    expect(png.readUInt32BE(at + 8 + length)).toBe(crc32(typed));
    chunks.push({ type: typed.toString('latin1', 0, 4), data: typed.subarray(4) });
    at += length + 12;
  }
  return chunks;
}

test.each(['P6\n2 2\n255\n', 'P6\n# made by somebody\n2 2\n255\n', 'P6 2 2 255 '])(
  'a PPM that begins %j becomes a PNG of the same pixels',
  (header) => {
    const png = pngOfPpm(Buffer.concat([Buffer.from(header), PIXELS]));
    expect(png.subarray(1, 4).toString()).toBe('PNG');
    const [first, second, last] = chunksOf(png);
    expect(first).toMatchObject({ type: 'IHDR', data: Buffer.from([0, 0, 0, 2, 0, 0, 0, 2, 8, 2, 0, 0, 0]) });
    expect(last).toMatchObject({ type: 'IEND', data: Buffer.alloc(0) });
    const rows = inflateSync(second?.data ?? Buffer.alloc(0));
    expect(rows).toEqual(Buffer.from([0, ...PIXELS.subarray(0, 6), 0, ...PIXELS.subarray(6)]));
  },
);

test.each(['', 'P5\n2 2\n255\n', 'P6\n2 2\n65535\n', 'P6\n9 9\n255\n'])('what begins %j is refused', (header) => {
  expect(() => pngOfPpm(Buffer.concat([Buffer.from(header), PIXELS]))).toThrow(
    expect.objectContaining({ code: 'MACHINE_SCREEN', message: 'the screenshot is no PPM image' }) as Error,
  );
});
