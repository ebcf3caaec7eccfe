/** Bytes as a view reads them, and where each of them stands in what was read. */
export interface Decoded {
  readonly bytes: Buffer;
  /** Begin of the raw bytes of which a decoded byte is made. */
  readonly startAt: (index: number) => number;
  /** And their end. */
  readonly endAt: (index: number) => number;
  /** Where the raw bytes end in something unfinished, such as `%4`; their length if they do not. */
  readonly open: number;
}

/** One way in which a secret may stand in a stream. */
export interface View {
  readonly name: 'text' | 'url' | 'json' | 'base64';
  readonly decode: (raw: Buffer) => Decoded;
  /** The texts by which a value shows itself in this view. */
  readonly patterns: (value: Buffer) => readonly Buffer[];
  /** An unfinished occurrence with fewer bytes than this is not worth waiting for. */
  readonly leastHeld: number;
}

const ESCAPE = 0x1b;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const LF = 0x0a;
const CR = 0x0d;
/** What follows the introducer of an escape sequence (ECMA-48), and its beginnings. */
const SEQUENCE =
  /^(?:\[[0-?]*[ -/]*[@-~]|\[[0-?]*[ -/]*$|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\|[ -/]+[0-~]|[0-~])/;
const SEQUENCE_BEGUN = /^(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)$/;
/** What is longer is no sequence. */
const MAX_SEQUENCE_BYTES = 4096;
/** What `invisibleAt` knows begins with one of these. */
const INVISIBLE = [
  ...Array.from({ length: 0x20 }, (_, byte) => byte).filter((byte) => byte !== 0x09 && byte !== LF),
  ...[0x7f, 0xc2, 0xe2],
];

/**
 * What stands at a place: bytes that mean others, something to pass over, or the beginning of
 * either.
 */
type Unit = { readonly length: number; readonly bytes: readonly number[] } | 'open' | undefined;

type UnitAt = (raw: Buffer, at: number) => Unit;

/**
 * Decodes what `unitAt` knows, which begins with one of these bytes, and takes all else as it is.
 */
function decoder(first: readonly number[], unitAt: UnitAt): (raw: Buffer) => Decoded {
  const isSpecial = new Uint8Array(256);
  for (const byte of first) isSpecial[byte] = 1;
  return (raw) => {
    if (first.some((byte) => raw.includes(byte))) return decodeUnits(raw, isSpecial, unitAt);
    return { bytes: raw, startAt: (index) => index, endAt: (index) => index + 1, open: raw.length };
  };
}

function decodeUnits(raw: Buffer, isSpecial: Uint8Array, unitAt: UnitAt): Decoded {
  const bytes = Buffer.allocUnsafe(raw.length);
  const starts = new Uint32Array(raw.length);
  const ends = new Uint32Array(raw.length);
  let length = 0;
  let open = raw.length;
  for (let at = 0; at < raw.length;) {
    const byte = raw[at] as number;
    const unit = isSpecial[byte] === 1 ? unitAt(raw, at) : undefined;
    if (unit === 'open') {
      open = at;
      break;
    }
    const end = at + (unit?.length ?? 1);
    if (unit === undefined) {
      bytes[length] = byte;
      starts[length] = at;
      ends[length++] = end;
    } else {
      // No unit means more bytes than it has.
      for (const meant of unit.bytes) {
        bytes[length] = meant;
        starts[length] = at;
        ends[length++] = end;
      }
    }
    at = end;
  }
  return {
    bytes: bytes.subarray(0, length),
    startAt: (index) => starts[index] as number,
    endAt: (index) => ends[index] as number,
    open,
  };
}

/**
 * What a terminal does not show, as `visibleText` takes it away: escape sequences, control
 * characters but tabs and newlines, what changes the direction of a text.
 */
function invisibleAt(raw: Buffer, at: number): Unit {
  const byte = raw[at] as number;
  if (byte === ESCAPE) return sequenceAt(raw, at);
  if (byte < 0x80) return { length: 1, bytes: [] };
  const [wanted, last] = byte === 0xc2 ? [2, 0x9f] : [3, 0xbf];
  if (at + wanted > raw.length) return isInvisible(raw.subarray(at)) ? 'open' : undefined;
  if (wanted === 2) return (raw[at + 1] as number) <= last ? { length: 2, bytes: [] } : undefined;
  return isInvisible(raw.subarray(at, at + 3)) ? { length: 3, bytes: [] } : undefined;
}

/** U+2028 to U+202E and U+2066 to U+2069 in UTF-8, as far as they are there; 0xc2 alone is the first of a C1 control. */
function isInvisible([first, second, third]: Uint8Array): boolean {
  if (first === 0xc2 || second === undefined) return true;
  if (second === 0x80) return third === undefined || (third >= 0xa8 && third <= 0xae);
  return second === 0x81 && (third === undefined || (third >= 0xa6 && third <= 0xa9));
}

/** An escape sequence; of one that does not end on its line, the introducer. */
function sequenceAt(raw: Buffer, at: number): Unit {
  const next = raw.indexOf(ESCAPE, at + 1);
  const end = Math.min(next < 0 ? raw.length : next + 2, at + MAX_SEQUENCE_BYTES, raw.length);
  const line = raw.subarray(at + 1, end);
  const newline = line.indexOf(LF);
  const rest = (newline < 0 ? line : line.subarray(0, newline)).toString('latin1');
  const isCut = newline < 0 && end === raw.length;
  if (isCut && SEQUENCE_BEGUN.test(rest)) return 'open';
  return { length: 1 + (SEQUENCE.exec(rest)?.[0].length ?? 0), bytes: [] };
}

function percentAt(raw: Buffer, at: number): Unit {
  const digits = raw.toString('latin1', at + 1, at + 3);
  if (/^[0-9A-Fa-f]{2}$/.test(digits)) return { length: 3, bytes: [Number.parseInt(digits, 16)] };
  return at + 1 + digits.length === raw.length && /^[0-9A-Fa-f]?$/.test(digits) ? 'open' : undefined;
}

const ESCAPED: Readonly<Record<string, number>> = {
  ...{ n: LF, r: CR, t: 9, b: 8, f: 12, a: 7, v: 11, e: ESCAPE, E: ESCAPE },
  // Shells put a backslash before a blank and all that means something to them.
  ...Object.fromEntries(' !"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'.split('').map((one) => [one, one.charCodeAt(0)])),
};
/** A byte in octal or hexadecimal. */
const NUMBER = /^(?:[0-7]{1,3}|x[0-9A-Fa-f]{1,2})/;
const NUMBER_BEGUN = /^(?:[0-7]{1,2}|x[0-9A-Fa-f]?)$/;
const UNICODE = /^\\u([0-9A-Fa-f]{4})/;
const UNICODE_BYTES = 6;

/** Escapes of JSON and of shells (bash(1), QUOTING; what `printf %q` and `declare -p` print). */
function escapeAt(raw: Buffer, at: number): Unit {
  if (at + 1 === raw.length) return 'open';
  const letter = raw.toString('latin1', at + 1, at + 2);
  const plain = ESCAPED[letter];
  if (plain !== undefined) return { length: 2, bytes: [plain] };
  const digits = raw.toString('latin1', at + 1, at + 4);
  if (NUMBER_BEGUN.test(digits) && at + 1 + digits.length === raw.length) return 'open';
  const number = NUMBER.exec(digits)?.[0];
  if (number !== undefined) return { length: 1 + number.length, bytes: [byteOf(number)] };
  if (letter !== 'u') return undefined;
  const text = raw.toString('latin1', at, at + 2 * UNICODE_BYTES);
  const first = UNICODE.exec(text)?.[1];
  if (first === undefined) return isBegun(text) && at + text.length === raw.length ? 'open' : undefined;
  const unit = Number.parseInt(first, 16);
  if (unit < 0xd800 || unit > 0xdbff) return { length: UNICODE_BYTES, bytes: utf8(unit) };
  const rest = text.slice(UNICODE_BYTES);
  const second = UNICODE.exec(rest)?.[1];
  if (second !== undefined) return { length: 2 * UNICODE_BYTES, bytes: utf8(unit, Number.parseInt(second, 16)) };
  return isBegun(rest) && at + text.length === raw.length ? 'open' : undefined;
}

function byteOf(number: string): number {
  const value = number.startsWith('x') ? Number.parseInt(number.slice(1), 16) : Number.parseInt(number, 8);
  return value % 256;
}

function isBegun(text: string): boolean {
  return text.length < UNICODE_BYTES && /^(?:\\(?:u[0-9A-Fa-f]{0,3})?)?$/.test(text);
}

function utf8(...units: readonly number[]): readonly number[] {
  return [...Buffer.from(String.fromCharCode(...units))];
}

/** Base64 is wrapped into lines, has two alphabets, and stands in JSON and in URLs. */
function base64At(raw: Buffer, at: number): Unit {
  switch (raw[at]) {
    case LF:
    case CR:
      return { length: 1, bytes: [] };
    case 0x2d: // -
      return { length: 1, bytes: [0x2b] };
    case 0x5f: // _
      return { length: 1, bytes: [0x2f] };
    case PERCENT:
      return percentAt(raw, at);
    default: {
      const escape = escapeAt(raw, at);
      if (escape === undefined || escape === 'open') return escape;
      const isBreak = escape.bytes[0] === LF || escape.bytes[0] === CR;
      return isBreak ? { length: escape.length, bytes: [] } : escape;
    }
  }
}

/** A value as shells show it that has quotes in it, beside as it is. */
function quotedForms(value: Buffer): readonly Buffer[] {
  const text = value.toString('latin1');
  if (!text.includes("'")) return [value];
  return [text, text.replaceAll("'", `'\\''`), text.replaceAll("'", `'"'"'`)].map((one) => Buffer.from(one, 'latin1'));
}

/**
 * The characters that base64 has for a value wherever in the encoded bytes it stands. Those at both
 * ends that also depend on its neighbours are none of them: at most four bits of the value each.
 */
function base64Forms(value: Buffer): readonly Buffer[] {
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.concat([Buffer.alloc(before), value]).toString('base64');
    const whole = encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + value.length) * 8) / 6));
    return Buffer.from(whole);
  });
}

const visible = decoder(INVISIBLE, invisibleAt);

/** All ways in which a secret is recognised. */
export const VIEWS: readonly View[] = [
  {
    name: 'text',
    decode: visible,
    // A key with CRLF is looked for without CR too.
    patterns: (value) => quotedForms(value).map((form) => Buffer.from(visible(form).bytes)),
    leastHeld: 1,
  },
  {
    name: 'url',
    decode: decoder([PERCENT], percentAt),
    // In forms a blank is a plus.
    patterns: (value) => [value, Buffer.from(value.toString('latin1').replaceAll(' ', '+'), 'latin1')],
    leastHeld: 1,
  },
  {
    name: 'json',
    decode: decoder([BACKSLASH], escapeAt),
    patterns: (value) => [value],
    leastHeld: 1,
  },
  {
    name: 'base64',
    decode: decoder([LF, CR, 0x2d, 0x5f, PERCENT, BACKSLASH], base64At),
    patterns: base64Forms,
    // Every other line ends in a letter with which a secret's base64 begins.
    leastHeld: 4,
  },
];
