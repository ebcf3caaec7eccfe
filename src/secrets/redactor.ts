import { NixproofError } from '../domain/error.js';
import { VIEWS, type Decoded, type View } from './views.js';

/** Least length of a secret, bytes: a shorter one stands in ordinary text by chance. */
export const LEAST_SECRET_BYTES = 6;
/** Least length of a line of a secret that is recognised by itself. */
const LEAST_LINE_BYTES = 8;
/**
 * From this number of bytes on, the beginning of a secret is masked though its end does not come.
 */
const TELLING_BYTES = 4;
const MASK = 0x2a; // *
const LF = 0x0a;
const CR = 0x0d;
/**
 * Longest output that is held back because a secret may have begun in it, in lengths of the longest
 * one.
 */
const MOST_HELD = 8;

/**
 * Replaces secrets, plain and encoded, by as many asterisks as they have bytes: no offset changes.
 * Line ends in them stay: no line is counted otherwise.
 */
export interface Redactor {
  bytes(raw: Uint8Array): Buffer;
  text(raw: string): string;
  /** All texts of a value made of plain data, the names of its fields too. */
  value<T>(raw: T): T;
  /** An error without secrets, with its causes; the same one if it has none. */
  error(raw: unknown): unknown;
  /**
   * @param skip how many of the first bytes are only looked at: they came before the stream's
   * beginning
   */
  stream(skip?: number): RedactedStream;
  /** How many bytes before a place may belong to a secret that reaches over it. */
  readonly reach: number;
}

/** A stream without its secrets, however it is cut into chunks. */
export interface RedactedStream {
  /**
   * Takes the next bytes and gives those, of these and earlier ones, that are known not to be part
   * of more.
   */
  push(chunk: Uint8Array): Buffer;
  /**
   * Gives what is held back. What may be the beginning of a secret is masked, and what comes next
   * is still recognised as its end.
   */
  release(): Buffer;
  /** Whether anything is held back. */
  readonly holding: boolean;
}

interface Pattern {
  readonly bytes: Buffer;
  /**
   * The Knuth-Morris-Pratt table: for each length of a beginning, the longest of its ends that is a
   * beginning too.
   */
  readonly table: Uint32Array;
}

interface Searched {
  readonly view: View;
  readonly patterns: readonly Pattern[];
}

/** What was found in some bytes. */
interface Found {
  /**
   * Where an occurrence may have begun that needs to be waited for; the length of the bytes if none
   * has.
   */
  readonly open: number;
  /** Where one may have begun at all. */
  readonly begun: number;
  /** Where so much of one stands that it is masked, complete or not. */
  readonly telling: number;
}

/** Knows these values. @param values as they are used, without the newline at their end */
export function createRedactor(values: readonly Buffer[]): Redactor {
  const known = values.flatMap((value) => [value, ...linesOf(value)]);
  const searched = values.length === 0 ? [] : VIEWS.map((view) => ({ view, patterns: patternsOf(view, known) }));
  const lengths = searched.flatMap(({ patterns }) => patterns.map(({ bytes }) => bytes.length));
  const longest = lengths.reduce((most, length) => Math.max(most, length), 0);
  const reach = MOST_HELD * longest;

  const bytes = (raw: Uint8Array): Buffer => {
    const stream = redactedStream(searched, reach, 0);
    return Buffer.concat([stream.push(raw), stream.release()]);
  };
  const text = (raw: string): string => (values.length === 0 ? raw : bytes(Buffer.from(raw)).toString('utf8'));
  const value = <T>(raw: T): T => (values.length === 0 ? raw : (mapTexts(raw, text) as T));
  return {
    bytes,
    text,
    value,
    error: (raw) => (raw instanceof Error ? withoutSecrets(raw, text, value) : raw),
    stream: (skip = 0) => redactedStream(searched, reach, skip),
    reach,
  };
}

/**
 * Of a secret of several lines, those that are printed by themselves, indented or behind a prompt.
 */
function linesOf(value: Buffer): readonly Buffer[] {
  const lines = value.toString('latin1').split(/\r?\n/);
  if (lines.length === 1) return [];
  return lines.map((line) => Buffer.from(line.trim(), 'latin1')).filter(({ length }) => length >= LEAST_LINE_BYTES);
}

function patternsOf(view: View, values: readonly Buffer[]): readonly Pattern[] {
  const texts = new Set(values.flatMap((value) => view.patterns(value)).map((one) => one.toString('latin1')));
  // Of nothing but control characters nothing is left to look for in some views.
  texts.delete('');
  return [...texts].map((one) => patternOf(Buffer.from(one, 'latin1')));
}

function patternOf(bytes: Buffer): Pattern {
  const table = new Uint32Array(bytes.length);
  for (let at = 1, matched = 0; at < bytes.length; at++) {
    while (matched > 0 && bytes[matched] !== bytes[at]) matched = table[matched - 1] as number;
    if (bytes[matched] === bytes[at]) matched++;
    table[at] = matched;
  }
  return { bytes, table };
}

/** How many bytes at the end of a text are the beginning of a pattern. */
function begunBytes({ bytes, table }: Pattern, text: Buffer): number {
  let matched = 0;
  for (let at = Math.max(0, text.length - bytes.length + 1); at < text.length; at++) {
    while (matched > 0 && bytes[matched] !== text[at]) matched = table[matched - 1] as number;
    if (bytes[matched] === text[at]) matched++;
  }
  return matched;
}

function redactedStream(searched: readonly Searched[], mostHeld: number, skip: number): RedactedStream {
  let window: Buffer = Buffer.alloc(0);
  let masked: Uint8Array = new Uint8Array(0);
  /** How many of the window's bytes were given out. */
  let given = 0;
  let skipped = 0;

  /** Gives out up to there, and keeps what an occurrence may have begun in. */
  const give = (until: number, from: number): Buffer => {
    const out = Buffer.from(window.subarray(given, Math.max(given, until)));
    for (let at = 0; at < out.length; at++) {
      if (masked[given + at] === 1 && out[at] !== LF && out[at] !== CR) out[at] = MASK;
    }
    const next = Math.max(given, until);
    const kept = Math.min(from, next);
    window = window.subarray(kept);
    masked = masked.subarray(kept);
    given = next - kept;
    const dropped = Math.min(out.length, skip - skipped);
    skipped += dropped;
    return out.subarray(dropped);
  };

  const search = (): Found => {
    let open = window.length;
    let begun = window.length;
    let telling = window.length;
    for (const { view, patterns } of searched) {
      const found = searchView(view, patterns, window, masked);
      open = Math.min(open, found.open);
      begun = Math.min(begun, found.begun);
      telling = Math.min(telling, found.telling);
    }
    return { open, begun, telling };
  };

  return {
    get holding() {
      return given < window.length;
    },
    push(chunk) {
      if (searched.length === 0) return Buffer.from(chunk);
      window = Buffer.concat([window, chunk]);
      masked = Buffer.concat([masked, Buffer.alloc(chunk.length)]);
      const { open, begun } = search();
      // What is padded without end is no secret any more.
      const least = window.length - mostHeld;
      return give(Math.max(open, least), Math.max(begun, least));
    },
    release() {
      const { begun, telling } = search();
      masked.fill(1, telling);
      return give(window.length, begun);
    },
  };
}

/** Marks whole occurrences, and tells where the last bytes may be the beginning of one. */
function searchView(view: View, patterns: readonly Pattern[], window: Buffer, masked: Uint8Array): Found {
  const decoded = view.decode(window);
  const end = decoded.bytes.length;
  const startOf = (matched: number) => (matched === 0 ? decoded.open : decoded.startAt(end - matched));
  let longest = 0;
  for (const pattern of patterns) {
    markAll(pattern, decoded, masked);
    longest = Math.max(longest, begunBytes(pattern, decoded.bytes));
  }
  return {
    open: startOf(longest < view.leastHeld ? 0 : longest),
    begun: startOf(longest),
    telling: longest < TELLING_BYTES ? window.length : startOf(longest),
  };
}

function markAll({ bytes: pattern, table }: Pattern, { bytes, startAt, endAt }: Decoded, masked: Uint8Array): void {
  // Two occurrences that overlap are at least so far from each other.
  const period = pattern.length - (table.at(-1) ?? 0);
  let until = 0;
  for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + period)) {
    const end = endAt(at + pattern.length - 1);
    masked.fill(1, Math.max(startAt(at), until), end);
    until = end;
  }
}

function mapTexts(raw: unknown, map: (text: string) => string): unknown {
  if (typeof raw === 'string') return map(raw);
  if (Array.isArray(raw)) return raw.map((one) => mapTexts(one, map));
  if (typeof raw !== 'object' || raw === null) return raw;
  return Object.fromEntries(Object.entries(raw).map(([name, one]) => [map(name), mapTexts(one, map)]));
}

function withoutSecrets(error: Error, text: (raw: string) => string, value: <T>(raw: T) => T): Error {
  const { message, stack = '', cause } = error;
  const clean = {
    message: text(message),
    stack: text(stack),
    cause: cause instanceof Error ? withoutSecrets(cause, text, value) : cause,
  };
  const facts = error instanceof NixproofError ? { hint: error.hint, details: error.details } : {};
  const same = clean.message === message && clean.stack === stack && clean.cause === cause;
  if (same && JSON.stringify(value(facts)) === JSON.stringify(facts)) return error;
  const made =
    error instanceof NixproofError
      ? new NixproofError(error.code, clean.message, {
          ...(error.hint === undefined ? {} : { hint: text(error.hint) }),
          details: value(error.details),
          cause: clean.cause,
        })
      : new Error(clean.message, { cause: clean.cause });
  // The system's name of it, which says what kind of error it is.
  return Object.assign(made, { stack: clean.stack }, 'code' in error ? { code: error.code } : {});
}
