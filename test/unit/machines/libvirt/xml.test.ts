import { expect, test } from 'vitest';
import { element } from '../../../../src/domain/xml.js';
import { textElement, xmlText } from '../../../../src/machines/libvirt/xml.js';

test.each([
  ['<a b="c">&', '&lt;a b=&quot;c&quot;&gt;&amp;'],
  ["'; --", '&apos;; --'],
  ['a\tb\nc\rd', 'a&#9;b&#10;c&#13;d'],
  ['é→😀', 'é→😀'],
  [']]>', ']]&gt;'],
])('%j is escaped in a text and in an attribute', (raw, escaped) => {
  expect(xmlText(element('e', { a: raw }, raw))).toBe(`<e a="${escaped}">${escaped}</e>`);
});

test.each(['\0', '\x1b', '\ud800', '\uffff'])('%j is refused, for XML has no way to write it', (character) => {
  expect(() => xmlText(element('e', {}, `a${character}`))).toThrow(
    expect.objectContaining({ code: 'UNSUPPORTED_XML_TEXT' }) as Error,
  );
});

test('elements hold elements and texts; an attribute that is undefined is left out', () => {
  const root = element('a', { b: 1, c: undefined, d: '' }, [textElement('e', 2), element('f')]);
  expect(xmlText(root)).toBe('<a b="1" d=""><e>2</e><f></f></a>');
});
