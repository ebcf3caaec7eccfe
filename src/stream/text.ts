/** How much of a line's visible text an event keeps, bytes; the artifact keeps the whole line. */
export const TEXT_LIMIT_BYTES = 8192;

/** How long a stage, phase or metric name may be, UTF-16 units. */
const NAME_LIMIT = 200;

/**
 * Terminal escape sequences (ECMA-48): CSI, OSC with its terminator, DCS/SOS/PM/APC with theirs, and short ones. An unfinished
 * sequence loses its introducer only, so that nobody can hide the rest of a line behind one. Every part stops at the next ESC:
 * linear on any input.
 */
const ESCAPES =
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\[[0-?]*[ -/]*$|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]+[0-~]|[0-~])?/g;

/** C0 without tab, DEL, C1, line separators and the bidirectional controls, which change how a page shows a text. */
const CONTROLS = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g;

/** Anything but printable ASCII and tabs: without it there is nothing to clean. */
const UNPLAIN = /[^\t\x20-\x7e]/;

const LONE_SURROGATES = /\p{Surrogate}/gu;

/** The text of a line's bytes: UTF-8, what is not valid as U+FFFD. A character cut off at `limit` is left out. */
export function decodeUtf8(bytes: Uint8Array, limit = bytes.length): string {
  const end = bytes.length > limit ? characterBoundary(bytes, limit) : bytes.length;
  return Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('utf8');
}

/** The last index not behind `limit` at which no UTF-8 sequence is split; `limit` itself where the bytes are no UTF-8. */
function characterBoundary(bytes: Uint8Array, limit: number): number {
  for (let at = limit; at > limit - 4 && at > 0; at--) {
    if (((bytes[at] ?? 0) & 0xc0) !== 0x80) return at;
  }
  return limit;
}

/**
 * A text as a terminal would leave it on one line: no escape sequences, backspaces applied, no control characters but tabs,
 * no lone surrogates. Still hostile: markup in it means nothing here.
 */
export function visibleText(raw: string): string {
  if (!UNPLAIN.test(raw)) return raw;
  const unescaped = raw.includes('\x1b') ? raw.replace(ESCAPES, '') : raw;
  const typed = unescaped.includes('\b') ? applyBackspaces(unescaped) : unescaped;
  return typed.replace(CONTROLS, '').replace(LONE_SURROGATES, '\ufffd');
}

/** A text of several lines, such as a Nix error with its trace, on one line and bounded. */
export function oneLine(raw: string): string {
  const start = raw.length > TEXT_LIMIT_BYTES ? raw.slice(0, 4 * TEXT_LIMIT_BYTES) : raw;
  const text = visibleText(start.includes('\n') ? start.trim().replace(/\n\s*/g, ' ') : start);
  return text.length > TEXT_LIMIT_BYTES ? text.slice(0, TEXT_LIMIT_BYTES).replace(LONE_SURROGATES, '') : text;
}

/** A name from a guest: trimmed, blanks single, at most `limit` UTF-16 units. */
export function boundedName(text: string, limit = NAME_LIMIT): string {
  const name = text.trim().replace(/[\t ]+/g, ' ');
  return name.length > limit ? name.slice(0, limit).replace(LONE_SURROGATES, '') : name;
}

/** mke2fs and the like draw their counters with backspaces; without this every number ever shown would stay. */
function applyBackspaces(text: string): string {
  const cells: string[] = [];
  let cursor = 0;
  for (const character of text) {
    if (character === '\b') cursor = Math.max(0, cursor - 1);
    else cells[cursor++] = character;
  }
  return cells.join('');
}
