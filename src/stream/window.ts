/** A window of a log, with the places in it that are not plain text. */
export interface Window {
  /** The window's bytes; valid until the next scan. */
  readonly bytes: Uint8Array;
  /** The same bytes as Latin-1, so that an index into one is an index into the other. */
  readonly text: string;
  /** Ascending indices of all bytes that are neither printable ASCII nor a tab: newlines among them. The first `markCount` hold. */
  readonly marks: Int32Array;
  readonly markCount: number;
}

const TAB = 0x09;

/**
 * Finds newlines and unusual bytes four bytes at a time: with a look at every single byte, this alone would cost more than
 * all the rest of reading a plain line.
 * @param capacity most bytes a window has; a multiple of four
 */
export function windowScanner(capacity: number): (window: Uint8Array) => Window {
  const words = new Int32Array(capacity / 4);
  const buffer = Buffer.from(words.buffer);
  const marks = new Int32Array(capacity);

  return (window) => {
    const { length } = window;
    // A copy, because the bytes as they come stand at any address and words only at multiples of four.
    buffer.set(window);
    buffer.fill(0x20, length, Math.min(capacity, length + 3));
    const wordCount = (length + 3) >> 2;
    let markCount = 0;
    for (let word = 0; word < wordCount; word++) {
      const four = words[word] as number;
      // The high bit of a byte's sum or difference tells: below 0x20, 0x80 and above, 0x7f. A neighbour's carry can only
      // set it in vain.
      if (((four - 0x20202020) | four | (four + 0x01010101)) & 0x80808080) {
        for (let at = word << 2, end = at + 4; at < end; at++) {
          const byte = buffer[at] as number;
          if ((byte < 0x20 && byte !== TAB) || byte >= 0x7f) marks[markCount++] = at;
        }
      }
    }
    return { bytes: buffer, text: buffer.toString('latin1', 0, length), marks, markCount };
  };
}
