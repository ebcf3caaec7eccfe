/**
 * Texts that are as bad as can be for one regular expression, made of its own pieces: what it
 * begins with again and again, so that it is begun at every place, and what it repeats, so that
 * each beginning reads far.
 */

type Node =
  | { readonly kind: 'text'; readonly text: string }
  /** One of some characters: a few examples, the likeliest trouble first. */
  | { readonly kind: 'class'; readonly examples: readonly string[] }
  | { readonly kind: 'group'; readonly options: readonly Sequence[] }
  | { readonly kind: 'nothing' };
interface Term {
  readonly node: Node;
  readonly least: number;
  readonly most: number;
}
type Sequence = readonly Term[];

/** Characters that are tried as members of a class, in this order. */
const LIKELY = [
  'a',
  '1',
  ' ',
  '/',
  '.',
  '-',
  ':',
  'A',
  '_',
  "'",
  '(',
  '=',
  ',',
  '\t',
  '@',
  ';',
  '!',
  '\x1b',
  '"',
  '\x01',
];
/** How many of its characters stand for a class. */
const EXAMPLES = 3;
/** From this number of repeats on, a part has a text of its own. */
const LONG_REPEAT = 8;

/** Texts of `length` characters for a pattern. */
export function worstTexts({ source, flags }: RegExp, length: number): ReadonlySet<string> {
  const texts = new Set<string>();
  const add = (start: string, again: string) => {
    if (again !== '') texts.add((start + again.repeat(Math.ceil(length / again.length))).slice(0, length));
  };
  visit(parse(source, flags.includes('u')), '', (before, { node, most }) => {
    for (const piece of spellings(node)) {
      add('', piece);
      add('', before + piece);
      if (most >= LONG_REPEAT) {
        add(before, piece);
        add('', before + piece.repeat(20));
        for (const spaced of [' ', ':', '\n']) add('', before + piece + spaced);
      }
    }
  });
  return texts;
}

/** Calls `see` with each term and what a text may have in front of it, within the pattern. */
function visit(options: readonly Sequence[], start: string, see: (before: string, term: Term) => void): void {
  for (const sequence of options) {
    let before = start;
    for (const term of sequence) {
      see(before, term);
      if (term.node.kind === 'group') visit(term.node.options, before, see);
      if (term.least > 0) before += spellings(term.node)[0] ?? '';
    }
  }
}

function spellings(node: Node): readonly string[] {
  switch (node.kind) {
    case 'text':
      return [node.text];
    case 'class':
      return node.examples;
    case 'group':
      return node.options.map((sequence) =>
        sequence.map(({ node: part, least }) => (least > 0 ? (spellings(part)[0] ?? '') : '')).join(''),
      );
    case 'nothing':
      return [];
  }
}

/** Enough of the syntax of regular expressions for the ones of this repository. */
function parse(source: string, unicode: boolean): readonly Sequence[] {
  let at = 0;
  const rest = () => source.slice(at);
  const take = (pattern: RegExp): RegExpExecArray | null => {
    const match = new RegExp(`^(?:${pattern.source})`, pattern.flags).exec(rest());
    at += match?.[0].length ?? 0;
    return match;
  };

  function options(): readonly Sequence[] {
    const all: Sequence[] = [];
    do all.push(sequence());
    while (take(/\|/));
    return all;
  }

  function sequence(): Sequence {
    const terms: Term[] = [];
    while (at < source.length && source[at] !== '|' && source[at] !== ')') {
      const node = atom();
      const [, brief, from, comma, to] = take(/([*+?])\??|\{(\d+)(,?)(\d*)\}\??/) ?? [];
      if (brief !== undefined) terms.push({ node, least: brief === '+' ? 1 : 0, most: brief === '?' ? 1 : Infinity });
      else if (from === undefined) terms.push({ node, least: 1, most: 1 });
      else terms.push({ node, least: Number(from), most: comma ? Number(to || Infinity) : Number(from) });
    }
    return terms;
  }

  function atom(): Node {
    if (take(/\((?:\?(?:[:=]|<\w+>))?(?!\?)/)) {
      const inside = options();
      take(/\)/);
      return { kind: 'group', options: inside };
    }
    // What must not be there is no piece of a match.
    if (take(/\(\?<?[!=]/)) {
      options();
      take(/\)/);
      return { kind: 'nothing' };
    }
    if (take(/\^|\$|\\[bB]/)) return { kind: 'nothing' };
    const set = take(/\[(?:\\.|[^\]\\])*\]|\\[pP]\{\w+\}|\\[dDwWsS]|\./s);
    if (set) return { kind: 'class', examples: examplesOf(set[0]) };
    const escaped = take(/\\(?:u\{[0-9a-f]+\}|u[0-9a-f]{4}|x[0-9a-f]{2}|k<\w+>|.)/i);
    if (escaped) return { kind: 'text', text: textOf(escaped[0]) };
    return { kind: 'text', text: source[at++] ?? '' };
  }

  function examplesOf(set: string): readonly string[] {
    const member = new RegExp(`^${set}$`, unicode ? 'su' : 's');
    const found = LIKELY.filter((character) => member.test(character));
    return found.length > 0
      ? found.slice(0, EXAMPLES)
      : [Array.from(set).find((character) => member.test(character)) ?? ''];
  }

  function textOf(escape: string): string {
    const code = /^\\(?:u\{?|x)([0-9a-f]+)/i.exec(escape)?.[1];
    if (code !== undefined) return String.fromCodePoint(parseInt(code, 16));
    return { '\\n': '\n', '\\r': '\r', '\\t': '\t', '\\b': '\b' }[escape] ?? escape.slice(1);
  }

  return options();
}
