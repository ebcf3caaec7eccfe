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
/** An ECMA-48 control sequence; what is longer is none. */
const CONTROL = /^\[[0-?]*[ -/]*([@-~])?/;
const MAX_CONTROL_BYTES = 64;

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

/** Colours: a program may colour a part of what it prints. */
function controlAt(raw: Buffer, at: number): Unit {
  if (at + 1 === raw.length) return 'open';
  const rest = raw.toString('latin1', at + 1, at + MAX_CONTROL_BYTES);
  const found = CONTROL.exec(rest);
  if (!found) return undefined;
  if (found[1] !== undefined) return { length: 1 + found[0].length, bytes: [] };
  return at + 1 + found[0].length === raw.length && rest.length < MAX_CONTROL_BYTES - 1 ? 'open' : undefined;
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

/** All ways in which a secret is recognised. */
export const VIEWS: readonly View[] = [
  {
    name: 'text',
    decode: decoder([ESCAPE], controlAt),
    patterns: quotedForms,
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
