import { NixproofError } from '../domain/error.js';

/** Days, hours, minutes, seconds, in this order, each at most once: `2h`, `15m`, `90s`, `1h30m`, `14d`. */
export const DURATION = /^(?=.*[1-9])(\d{1,6}d)?(\d{1,6}h)?(\d{1,6}m)?(\d{1,6}s)?$/;

/** A size with a binary unit: `20G` and `20GiB` are 20 × 2³⁰ bytes, as qemu-img reads them. */
export const SIZE = /^(?=.*[1-9])(\d{1,6})([MGT])(?:iB)?$/;

export const DURATION_EXPECTED = 'a duration such as 90s, 15m or 1h30m';
export const SIZE_EXPECTED = 'a size such as 512M or 20G';

const MILLISECONDS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000 } as const;
const BYTES = { M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 } as const;

/** A duration in milliseconds; undefined where the text is none. Nought is none. */
export function parseDuration(text: string): number | undefined {
  if (!DURATION.test(text)) return undefined;
  const parts = text.matchAll(/(\d+)([dhms])/g);
  return [...parts].reduce(
    (sum, [, count, unit]) => sum + Number(count) * MILLISECONDS[unit as 'd' | 'h' | 'm' | 's'],
    0,
  );
}

/** A size in bytes; undefined where the text is none. Nought is none. */
export function parseSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  return match ? Number(match[1]) * BYTES[match[2] as 'M' | 'G' | 'T'] : undefined;
}

/** What the schema let through has a value. @throws NixproofError `INTERNAL_UNVALIDATED` */
export function validated(value: number | undefined): number {
  if (value === undefined) throw new NixproofError('INTERNAL_UNVALIDATED', 'a size or duration was not validated');
  return value;
}
