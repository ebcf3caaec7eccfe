/** A word, a quoted text or a sign of the Nix language; comments and spaces are left out. */
export interface NixToken {
  readonly kind: 'word' | 'string' | 'sign';
  /** Of a string: what stands between the quotes, as written. */
  readonly text: string;
}

const SKIPPED = /(?:\s+|#[^\n]*|\/\*[\s\S]*?\*\/)+/y;
const WORD = /[A-Za-z_][A-Za-z0-9_'-]*/y;

/** Splits Nix source into tokens: enough to find attribute names, not to understand a program. */
export function nixTokens(source: string): readonly NixToken[] {
  const tokens: NixToken[] = [];
  let at = 0;
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(source)?.[0];
  };
  while (at < source.length) {
    const skipped = take(SKIPPED);
    if (skipped !== undefined) {
      at += skipped.length;
      continue;
    }
    const quote = source.startsWith("''", at) ? "''" : source[at] === '"' ? '"' : undefined;
    const end = quote === undefined ? at : endOfString(source, at + quote.length, quote);
    const word = take(WORD);
    if (quote !== undefined) tokens.push({ kind: 'string', text: source.slice(at + quote.length, end - quote.length) });
    else tokens.push(word === undefined ? { kind: 'sign', text: source[at] ?? '' } : { kind: 'word', text: word });
    at = quote === undefined ? at + (word?.length ?? 1) : end;
  }
  return tokens;
}

/** Where a string ends (after its quote) that began before `at`; strings hold `${…}`, which hold strings. */
function endOfString(source: string, at: number, quote: '"' | "''"): number {
  while (at < source.length) {
    if (source.startsWith('${', at)) at = endOfInterpolation(source, at + 2);
    else if (quote === '"' && source[at] === '\\') at += 2;
    else if (quote === "''" && /^''['$\\]/.test(source.slice(at, at + 3))) at += source[at + 2] === '\\' ? 4 : 3;
    else if (source.startsWith(quote, at)) return at + quote.length;
    else at += 1;
  }
  return source.length;
}

function endOfInterpolation(source: string, at: number): number {
  let depth = 1;
  while (at < source.length && depth > 0) {
    const quote = source.startsWith("''", at) ? "''" : source[at] === '"' ? '"' : undefined;
    if (quote !== undefined) {
      at = endOfString(source, at + quote.length, quote);
      continue;
    }
    if (source[at] === '{') depth += 1;
    if (source[at] === '}') depth -= 1;
    at += 1;
  }
  return at;
}
