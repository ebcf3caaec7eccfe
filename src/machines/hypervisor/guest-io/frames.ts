/** Bytes before each frame of QEMU's socket character devices: its length (net/net.c, net_fill_rstate). */
const LENGTH_BYTES = 4;
/** The longest frame that QEMU takes; a stream with a longer one is none. */
const MAX_FRAME_BYTES = 69_632;

/**
 * Cuts a stream of QEMU's frames and gives back those that `passes` lets through, as they came,
 * neighbours in one piece. One that is not complete yet is kept for the next chunk.
 * @throws Error if the bytes are no such stream
 */
export function createFrameFilter(passes: (frame: Buffer) => boolean): (chunk: Buffer) => readonly Buffer[] {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const pieces: Buffer[] = [];
    let begin = 0;
    let at = 0;
    while (bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readUInt32BE(at);
      if (length > MAX_FRAME_BYTES) throw new Error(`a frame of ${length} bytes`);
      const end = at + LENGTH_BYTES + length;
      if (end > bytes.length) break;
      if (!passes(bytes.subarray(at + LENGTH_BYTES, end))) {
        if (at > begin) pieces.push(bytes.subarray(begin, at));
        begin = end;
      }
      at = end;
    }
    if (at > begin) pieces.push(bytes.subarray(begin, at));
    rest = Buffer.from(bytes.subarray(at));
    return pieces;
  };
}
