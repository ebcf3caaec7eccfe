import { expect, test } from 'vitest';
import { element } from '../../../src/domain/xml.js';
import { html, ownMarkup } from '../../../src/reports/html/template.js';
import { xmlDocument } from '../../../src/reports/xml.js';

test('an XML document is indented, escaped, and leaves undefined attributes out', () => {
  const root = element('suite', { name: 'a "b"\n  c', empty: undefined, runs: 2 }, [
    element('case', {}, [element('skipped')]),
    element('out', {}, '<&'),
  ]);
  expect(xmlDocument(root)).toBe(
    [
      '<?xml version="1.0" encoding="UTF-8"?>',
      '<suite name="a &quot;b&quot; c" runs="2">',
      '  <case>',
      '    <skipped/>',
      '  </case>',
      '  <out>&lt;&amp;</out>',
      '</suite>',
      '',
    ].join('\n'),
  );
});

test('attributes and texts of an XML document are bounded', () => {
  const written = xmlDocument(element('a', { b: 'x'.repeat(501) }, 'y'.repeat(20_001)));
  expect(written).toContain(`b="${'x'.repeat(500)}… (501 characters)"`);
  expect(written).toContain(`>${'y'.repeat(20_000)}… (20001 characters)<`);
});

test('what is put into HTML is escaped and bounded, unless it is HTML or ours', () => {
  const page = html;
  const items = ['<b>', '&'].map((text) => page`<li>${text}</li>`);
  expect(page`<ul class="${'"'}">${items}${undefined}${7}${ownMarkup('<hr>')}</ul>`.markup).toBe(
    '<ul class="&quot;"><li>&lt;b&gt;</li><li>&amp;</li>7<hr></ul>',
  );
  expect(page`${'x'.repeat(2001)}`.markup).toBe(`${'x'.repeat(2000)}… (2001 characters)`);
  expect(
    page`<p>
    a
  </p>`.markup,
  ).toBe('<p>\na\n</p>');
});
