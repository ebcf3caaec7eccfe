/** How much of an unfinished line is held, bytes: enough for Nix's longest messages, and all that a line of 100 MB costs. */
const PENDING_LIMIT_BYTES = 256 * 1024;

const CR = 13;

/** The part of a line that a terminal would still show: what stands behind the last carriage return that is not at its end. */
export function visibleSegment(line: Uint8Array): Uint8Array {
  let end = line.length;
  while (end > 0 && line[end - 1] === CR) end--;
  return line.subarray(end === 0 ? 0 : line.lastIndexOf(CR, end - 1) + 1, end);
}

/** A line whose newline has not come yet, in bounded memory. */
export interface PendingLine {
  /** Adds bytes without a newline. */
  append(bytes: Uint8Array): void;
  /** The beginning of the visible segment so far; valid until the next call. */
  kept(): Uint8Array;
  /** The visible segment's whole length, bytes. */
  segmentBytes(): number;
  /** The whole line's length so far, bytes. */
  lineBytes(): number;
  clear(): void;
}

export function pendingLine(): PendingLine {
  let buffer = new Uint8Array(1024);
  let keptBytes = 0;
  let segmentBytes = 0;
  let lineBytes = 0;
  let afterReturn = false;

  const keep = (bytes: Uint8Array) => {
    const taken = bytes.subarray(0, PENDING_LIMIT_BYTES - keptBytes);
    if (keptBytes + taken.length > buffer.length) {
      const grown = new Uint8Array(Math.min(PENDING_LIMIT_BYTES, 2 * (keptBytes + taken.length)));
      grown.set(buffer.subarray(0, keptBytes));
      buffer = grown;
    }
    buffer.set(taken, keptBytes);
    keptBytes += taken.length;
    segmentBytes += bytes.length;
  };

  return {
    append(bytes) {
      if (bytes.length === 0) return;
      lineBytes += bytes.length;
      const segment = visibleSegment(bytes);
      // Carriage returns alone move the cursor and wipe nothing: the old segment goes only when something is drawn over it.
      if (segment.length > 0) {
        const returned = afterReturn || segment.byteOffset > bytes.byteOffset;
        if (returned) keptBytes = segmentBytes = 0;
        keep(segment);
      }
      afterReturn = bytes[bytes.length - 1] === CR;
    },
    kept: () => buffer.subarray(0, keptBytes),
    segmentBytes: () => segmentBytes,
    lineBytes: () => lineBytes,
    clear() {
      keptBytes = segmentBytes = lineBytes = 0;
      afterReturn = false;
      if (buffer.length > 64 * 1024) buffer = new Uint8Array(1024);
    },
  };
}
