import { isUtf8 } from 'node:buffer';

/** How many names a message holds. */
const SHOWN = 5;

/**
 * A file's name for people: printable text as it is, other characters and bytes escaped (`\n`,
 * `\xff`).
 */
export function nameText(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8').replace(/[\p{C}\\]/gu, escaped);
  return name.toString('latin1').replace(/[^\x20-\x7e]|\\/g, escaped);
}

function escaped(character: string): string {
  if (character === '\\') return '\\\\';
  if (character === '\n') return '\\n';
  const code = character.codePointAt(0) ?? 0;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}

/** A name of a tree's list (`./a/b`) without its beginning; the tree itself is `.`. */
export function withoutDot(name: Buffer): Buffer {
  return name.length > 1 ? name.subarray(2) : name;
}

/** The first of some names, and how many more there are: `a, b, c, d, e and 12 more`. */
export function someNames(names: readonly Buffer[]): string {
  const shown = names.slice(0, SHOWN).map(nameText).join(', ');
  return names.length > SHOWN ? `${shown} and ${names.length - SHOWN} more` : shown;
}
