import { describe, expect, it } from 'vitest';
import {
  clip,
  escapeHtml,
  escapeMarkdown,
  escapeXml,
  logLine,
  markdownCode,
  markdownFence,
  oneLine,
  stripTerminal,
} from '../../../src/reports/escape.js';
import { ATTACKS } from './fixtures.js';

describe('stripTerminal', () => {
  it.each([
    ['colours', '\u001b[1;31mred\u001b[0m', 'red'],
    ['a title and a link', '\u001b]0;owned\u0007\u001b]8;;http://x\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['eight-bit sequences', '\u009b2Jtext\u009d0;owned\u009c', 'text'],
    ['an unterminated string keeps its text', '\u001b]0;the rest', '0;the rest'],
    ['progress bars', '10 %\r20 %\r\ndone', '10 %\n20 %\ndone'],
    ['controls but tab and newline', 'a\u0000\u0007\u0008\tb\nc\u007f\u0085', 'a\tb\nc'],
    ['bidirectional overrides', 'a\u202eb\u2066c\u200f', 'a\ufffdb\ufffdc\ufffd'],
    ['halves of surrogate pairs, and whole ones', '\ud800 \udc00 \u{1f600}', '\ufffd \ufffd \u{1f600}'],
    ['plain text of any script', 'Größe 日本語 العربية', 'Größe 日本語 العربية'],
  ])('%s', (_, text, expected) => {
    expect(stripTerminal(text)).toBe(expected);
  });

  it('is idempotent', () => {
    for (const attack of ATTACKS) expect(stripTerminal(stripTerminal(attack))).toBe(stripTerminal(attack));
  });

  it.each(['\u001b]', '\u009d', '\u001b[', '\u001b[0;', '\u001bP\u0090', '\u001b '])(
    'reads a megabyte of %j without backtracking',
    (part) => {
      expect(stripTerminal(part.repeat(500_000))).not.toContain('\u001b');
    },
  );
});

describe('escapes', () => {
  it('leaves nothing that HTML or XML would read as markup', () => {
    for (const attack of ATTACKS) {
      expect(escapeHtml(attack)).not.toMatch(/[<>"'\x00]|&(?!(?:amp|lt|gt|quot|#39);)/);
      expect(escapeXml(attack)).not.toMatch(/[<>"'\x00-\x08\ufffe\uffff]|&(?!(?:amp|lt|gt|quot|#39);)/);
    }
  });

  it.each([
    ['<a b="c">', '&lt;a b=&quot;c&quot;&gt;'],
    ["'&amp;'", '&#39;&amp;amp;&#39;'],
    ['a\u001b[31mb\u0001', 'ab'],
    ['\ta\u2028日本😀', '\ta\ufffd日本😀'],
  ])('of %j is the text as it is, in HTML and in XML', (raw, escaped) => {
    expect(escapeHtml(raw)).toBe(escaped);
    expect(escapeXml(raw)).toBe(escaped);
  });

  it.each([
    ['a  b\n\tc', 'a b c'],
    ['*a* _b_ {c} [d](e) ~f~ !g', '\\*a\\* \\_b\\_ \\{c\\} \\[d\\]\\(e\\) \\~f\\~ \\!g'],
    ['#1 a#', '\\#1 a\\#'],
    ['- a-b +c', '\\- a-b +c'],
    ['=x', '\\=x'],
    ['a|b\\', 'a&#124;b&#92;'],
    ['<i>&"\'`@$', '&#60;i&#62;&#38;&#34;&#39;&#96;&#64;&#36;'],
    ['https://x: y', 'https&#58;//x: y'],
    ['WWW.x', 'WWW&#46;x'],
  ])('of %j for Markdown is the text as it is', (raw, escaped) => {
    expect(escapeMarkdown(raw)).toBe(escaped);
  });

  it('leaves nothing that Markdown would read as markup', () => {
    for (const attack of ATTACKS) {
      const bare = escapeMarkdown(attack).replace(/&#\d+;|\\[*_{}[\]()~!#+=-]/g, '');
      expect(bare).not.toMatch(/[<>&`|\\@$*_[\]\n]|:\/\/|www\./);
    }
  });

  it('shows code as code, whatever is in it', () => {
    expect(markdownCode('DISK_PARTITIONING')).toBe('`DISK_PARTITIONING`');
    expect(markdownCode('a|b \\| `c`')).toBe('<code>a&#124;b &#92;&#124; &#96;c&#96;</code>');
    expect(markdownCode(' \n')).toBe('—');
    expect(markdownCode(' a \n b ')).toBe('`a b`');
  });

  it('fences text with more backticks than it has', () => {
    expect(markdownFence('a\n```\n````sh\nb')).toBe('`````text\na\n```\n````sh\nb\n`````');
    expect(markdownFence('a')).toBe('```text\na\n```');
  });
});

describe('bounds', () => {
  it('says how much was cut off', () => {
    expect(clip('abcdef', 3)).toBe('abc… (6 characters)');
    expect(clip('abc', 3)).toBe('abc');
    expect(clip('ab\u{1f600}', 3)).toBe('ab… (4 characters)');
    expect(clip('\u{1f600}bc', 3)).toBe('\u{1f600}b… (4 characters)');
  });

  it('makes one line of many, with or without the spaces inside', () => {
    expect(oneLine('  a \r\n b\t\tc ')).toBe('a b c');
    expect(logLine(' NAME   SIZE\nb\n')).toBe(' NAME   SIZE b');
  });

  it('bounds a name of a megabyte', () => {
    for (const shape of [oneLine, logLine])
      expect(shape('x'.repeat(1 << 20), 50)).toBe(`${'x'.repeat(50)}… (1048576 characters)`);
    // What cleaning removes does not count, as far as the reserve goes.
    expect(oneLine(`${'\u0001'.repeat(30)}abc`, 10)).toBe('abc');
    expect(oneLine(`${'\u0001'.repeat(80)}abc`, 10)).toBe('… (83 characters)');
    expect(oneLine('x'.repeat(80), 10)).toBe(`${'x'.repeat(10)}… (80 characters)`);
  });
});
