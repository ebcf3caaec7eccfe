import { crc32, deflateSync } from 'node:zlib';
import { NixproofError } from '../domain/error.js';

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BYTES_PER_PIXEL = 3;

/**
 * A PNG of a binary PPM with 8 bits a colour (ppm(5): `P6`, width, height, 255, then the pixels).
 * @throws NixproofError `MACHINE_SCREEN` where it is none
 */
export function pngOfPpm(ppm: Buffer): Buffer {
  const header = /^P6\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s/.exec(ppm.toString('latin1', 0, 256));
  const [width, height] = [Number(header?.[1]), Number(header?.[2])];
  const pixels = ppm.subarray(header?.[0].length ?? 0);
  const row = width * BYTES_PER_PIXEL;
  if (!header || pixels.length < row * height)
    throw new NixproofError('MACHINE_SCREEN', 'the screenshot is no PPM image');
  // Every row begins with its filter: 0, none (PNG specification, 9.2).
  const rows = Buffer.alloc((row + 1) * height);
  for (let y = 0; y < height; y++) pixels.copy(rows, y * (row + 1) + 1, y * row, (y + 1) * row);
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', imageHeader(width, height)),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Width, height, 8 bits a sample, true colour; compression, filter and interlacing have but one or no value. */
function imageHeader(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  return header;
}

function chunk(type: string, data: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const framed = Buffer.alloc(typed.length + 8);
  framed.writeUInt32BE(data.length, 0);
  typed.copy(framed, 4);
  framed.writeUInt32BE(crc32(typed), typed.length + 4);
  return framed;
}
