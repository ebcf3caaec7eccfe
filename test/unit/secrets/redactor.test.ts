import { describe, expect, it } from 'vitest';
import { NixproofError } from '../../../src/domain/error.js';
import { createRedactor } from '../../../src/secrets/redactor.js';
import { visibleText } from '../../../src/stream/text.js';

const SECRET = `hunter2+/ 'q"é\\`;
const secret = Buffer.from(SECRET);
const redactor = createRedactor([secret]);

/** Pseudo-random, the same each time. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return Math.floor((state / 2_147_483_648) * below);
  };
}

const wrapped = (text: string, columns: number) => text.replaceAll(new RegExp(`.{${columns}}`, 'g'), '$&\n');
const everyByte = (value: Buffer) => [...value].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');

/** As in `$'…'`: a number for what is not ASCII. */
const shellBytes = (numberOf: (byte: number) => string) =>
  [...secret]
    .map((byte) =>
      byte > 126 ? `\\${numberOf(byte)}` : String.fromCharCode(byte).replaceAll(/['\\]/g, String.raw`\$&`),
    )
    .join('');

/** As programs print it. */
const FORMS: readonly (readonly [name: string, text: string])[] = [
  ['plain', SECRET],
  ['base64', secret.toString('base64')],
  ['base64 behind one byte', Buffer.concat([Buffer.from('u'), secret]).toString('base64')],
  ['base64 behind a name', Buffer.concat([Buffer.from('me:'), secret, Buffer.from('@x')]).toString('base64')],
  ['base64url', Buffer.concat([Buffer.from('ab'), secret]).toString('base64url')],
  ['base64 in lines', wrapped(Buffer.from(`user:${SECRET}:more`).toString('base64'), 8)],
  ['base64 in a URL', encodeURIComponent(Buffer.from(`?${SECRET}`).toString('base64'))],
  ['base64 in JSON', JSON.stringify(wrapped(secret.toString('base64'), 10))],
  ['URL-encoded', encodeURIComponent(SECRET)],
  ['URL-encoded in small letters', encodeURIComponent(SECRET).toLowerCase()],
  ['a form', new URLSearchParams({ token: SECRET }).toString()],
  ['every byte URL-encoded', everyByte(secret)],
  ['JSON', JSON.stringify({ token: SECRET })],
  ['JSON in ASCII', JSON.stringify(SECRET).replaceAll('é', '\\u00e9')],
  ['a traced shell command', SECRET.replaceAll("'", `'\\''`)],
  ['bash, with backslashes', SECRET.replaceAll(/[^A-Za-z0-9é]/g, String.raw`\$&`)],
  ['bash, in double quotes', SECRET.replaceAll(/["\\$`]/g, String.raw`\$&`)],
  ['bash, octal', `$'${shellBytes((byte) => byte.toString(8))}'`],
  ['hexadecimal escapes', shellBytes((byte) => `x${byte.toString(16)}`)],
  ['another shell', SECRET.replaceAll("'", `'"'"'`)],
  ['coloured', `${SECRET.slice(0, 3)}\x1b[01;31m${SECRET.slice(3, 7)}\x1b[m${SECRET.slice(7)}`],
];

/** Parts of the secret, in all its forms, that a reader would know it by. */
const TELLING = [
  SECRET.slice(0, 7),
  'hunter2%2B',
  ...[0, 1, 2].map((n) =>
    Buffer.concat([Buffer.alloc(n), secret])
      .toString('base64')
      .slice(4, 12),
  ),
];

/** What a terminal does not show, and what is taken away before a text is shown. */
const INVISIBLE: readonly (readonly [name: string, text: string])[] = [
  ['a character set (tput sgr0)', '\x1b(B'],
  ['a bell', '\x07'],
  ['a shift', '\x0f'],
  ['a NUL', '\0'],
  ['a carriage return', '\r'],
  ['a delete', '\x7f'],
  ['a title', '\x1b]0;title\x07'],
  ['a link', '\x1b]8;;https://example.org\x1b\\'],
  ['a device control string', '\x1bPq#0\x1b\\'],
  ['a long colour', `\x1b[${'1;'.repeat(40)}m`],
  ['an escape', '\x1b'],
  ['a C1 control', '\u0085'],
  ['a direction', '\u202e'],
  ['an isolate', '\u2066'],
];

describe('a redactor', () => {
  it.each(INVISIBLE)('masks a secret that is divided by %s, and what is then shown', (_, between) => {
    // An escape may take what follows it with it, as it does where a text is shown.
    const form = SECRET.split('')
      .map((one, at) => (at === 5 ? `${between}${between === '\x1b' ? '\x07' : ''}${one}` : one))
      .join('');
    const raw = Buffer.from(`before ${form} after\n`);
    for (const size of [1, 3, raw.length]) {
      const stream = redactor.stream();
      const parts: Buffer[] = [];
      for (let at = 0; at < raw.length; at += size) parts.push(stream.push(raw.subarray(at, at + size)));
      const seen = Buffer.concat([...parts, stream.release()]);
      expect(seen).toHaveLength(raw.length);
      expect(visibleText(seen.toString())).toMatch(/^before \*+ after$/);
    }
  });

  it('masks every character of a secret with NULs between, as in UTF-16', () => {
    expect(redactor.text(SECRET.split('').join('\0'))).not.toMatch(/[a-z0-9]/);
  });

  it('keeps up with escapes that never end', () => {
    const hostile = Buffer.from('\x1b]'.repeat(200_000));
    const began = process.cpuUsage();
    expect(redactor.bytes(hostile)).toHaveLength(hostile.length);
    // A deadline, generous: it is some 100 ms.
    expect(process.cpuUsage(began).user / 1000).toBeLessThan(10_000);
  });

  it.each(FORMS)('masks a secret that is printed as %s', (_, form) => {
    const seen = redactor.text(`before ${form} after\n`);
    expect(Buffer.byteLength(seen)).toBe(Buffer.byteLength(`before ${form} after\n`));
    expect(seen).toMatch(/^before /);
    expect(seen).toMatch(/ after\n$/);
    for (const part of TELLING) expect(seen).not.toContain(part);
    expect(seen).toContain('****');
  });

  it('gives as many bytes and lines as it takes', () => {
    for (const [, form] of FORMS) {
      const raw = Buffer.from(`a\n${form}\nb\n`);
      const seen = redactor.bytes(raw);
      expect(seen).toHaveLength(raw.length);
      expect(seen.filter((byte) => byte === 0x0a)).toHaveLength(raw.filter((byte) => byte === 0x0a).length);
    }
  });

  it('gives the same however the stream is cut', () => {
    const whole = Buffer.from(FORMS.map(([name, form]) => `${name}: ${form}\n`).join(''));
    const expected = redactor.bytes(whole);
    for (let seed = 1; seed <= 60; seed++) {
      const next = numbers(seed);
      const stream = redactor.stream();
      const out: Buffer[] = [];
      for (let at = 0; at < whole.length;) {
        const size = 1 + next(seed % 3 === 0 ? 3 : 60);
        out.push(stream.push(whole.subarray(at, at + size)));
        at += size;
      }
      out.push(stream.release());
      const seen = Buffer.concat(out).toString('latin1');
      expect(seen).toHaveLength(whole.length);
      for (const part of TELLING) expect(seen).not.toContain(part);
      // At a cut at most three letters of base64 are let through that could begin one.
      const differing = seen.split('').filter((letter, at) => letter !== expected.toString('latin1', at, at + 1));
      expect(differing.length).toBeLessThanOrEqual(3 * 8);
    }
  });

  it('begins in the middle of a secret where it is shown what came before', () => {
    const whole = Buffer.from(`x ${SECRET} y\n`);
    for (let at = 0; at <= whole.length; at++) {
      const from = Math.max(0, at - redactor.reach);
      const stream = redactor.stream(at - from);
      const seen = Buffer.concat([stream.push(whole.subarray(from)), stream.release()]);
      expect(seen).toEqual(redactor.bytes(whole).subarray(at));
    }
  });

  it('holds nothing back that cannot be part of a secret', () => {
    const stream = redactor.stream();
    expect(stream.push(Buffer.from('::PHASE::DISK\n')).toString()).toBe('::PHASE::DISK\n');
    expect(stream.holding).toBe(false);
    expect(stream.push(Buffer.from('100%')).toString()).toBe('100');
    expect(stream.holding).toBe(true);
    expect(stream.release().toString()).toBe('%');
  });

  it('masks a beginning that is asked for before its end has come, and the end as well', () => {
    const stream = redactor.stream();
    expect(stream.push(Buffer.from('> hunter2')).toString()).toBe('> ');
    expect(stream.release().toString()).toBe('*******');
    expect(stream.push(Buffer.from(`${SECRET.slice(7)} end\n`)).toString()).toBe(
      `${'*'.repeat(secret.length - 7)} end\n`,
    );
  });

  it('holds back a bounded part of a secret that is padded without end', () => {
    const stream = redactor.stream();
    let out = stream.push(Buffer.from('hunter')).length;
    const blank = Buffer.from('\x1b[m'.repeat(10_000));
    for (let n = 0; n < 10; n++) out += stream.push(blank).length;
    expect(out).toBeGreaterThan(10 * blank.length - redactor.reach - 100);
  });

  it('knows the lines of a secret of several lines', () => {
    const key = createRedactor([Buffer.from('-----BEGIN KEY-----\nAAAAC3NzaC1lZDI1\nxy\n-----END KEY-----')]);
    expect(key.text('+  AAAAC3NzaC1lZDI1\n')).toBe(`+  ${'*'.repeat(16)}\n`);
    expect(key.text('xy\n')).toBe('xy\n');
  });

  it('masks overlapping occurrences and several secrets', () => {
    const two = createRedactor([Buffer.from('ababab'), Buffer.from('bababcd')]);
    expect(two.text('-abababab-')).toBe('-********-');
    expect(two.text('-abababcd-')).toBe('-********-');
  });

  it('takes secrets out of plain data and of errors with their causes', () => {
    expect(redactor.value({ [SECRET]: [1, { a: `x${SECRET}` }] })).toEqual({
      ['*'.repeat(secret.length)]: [1, { a: `x${'*'.repeat(secret.length)}` }],
    });
    const cause = new Error(`it was ${SECRET}`);
    const error = new NixproofError('HOST_X', 'plain', { details: { said: SECRET }, hint: SECRET, cause });
    const clean = redactor.error(error) as NixproofError;
    expect(clean).toBeInstanceOf(NixproofError);
    expect(clean.code).toBe('HOST_X');
    const said = [clean.message, clean.stack, clean.hint, JSON.stringify(clean.details), String(clean.cause)].join();
    expect(said).not.toContain('hunter2');
    const other = new NixproofError('HOST_X', 'nothing to hide', { cause: new Error('no') });
    expect(redactor.error(other)).toBe(other);
  });

  it('changes nothing where there are no secrets', () => {
    const none = createRedactor([]);
    const raw = Buffer.from([0, 255, 10, 37]);
    expect(none.bytes(raw)).toEqual(raw);
    const stream = none.stream();
    expect(stream.push(raw)).toEqual(raw);
    expect(stream.holding).toBe(false);
  });
});

it('masks a secret that overlaps itself, wherever it is repeated', () => {
  const one = createRedactor([Buffer.from('abababa')]);
  expect(one.text('xababababab.abababa')).toBe('x*********b.*******');
  const long = createRedactor([Buffer.from('a'.repeat(10_000))]);
  expect(long.text(`${'a'.repeat(40_000)}b`)).toBe(`${'*'.repeat(40_000)}b`);
});
