import { NixproofError } from '../../domain/error.js';
import { element, type XmlElement } from '../../domain/xml.js';

/** An element that holds a text only. */
export function textElement(name: string, text: string | number): XmlElement {
  return element(name, {}, String(text));
}

/**
 * The element as XML 1.0, whatever its texts hold. Names of elements and attributes are ours.
 * @throws NixproofError `UNSUPPORTED_XML_TEXT` where a text has a character that XML cannot hold
 */
export function xmlText({ name, attributes, content }: XmlElement): string {
  const pairs = Object.entries(attributes).map(([key, value]) =>
    value === undefined ? '' : ` ${key}="${escapeXml(String(value))}"`,
  );
  const inside = typeof content === 'string' ? escapeXml(content) : content.map(xmlText).join('');
  return `<${name}${pairs.join('')}>${inside}</${name}>`;
}

/** What XML 1.0 has no way to write: control characters, halves of surrogate pairs, two non-characters (its production 2). */
const IMPOSSIBLE = /[\0-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|\p{Surrogate}/u;
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

function escapeXml(text: string): string {
  if (IMPOSSIBLE.test(text)) {
    throw new NixproofError('UNSUPPORTED_XML_TEXT', `libvirt cannot be told of ${JSON.stringify(text)}`, {
      hint: 'give the file or folder a name without control characters',
    });
  }
  // A line's end or a tab in an attribute would be read as a space.
  return text.replace(/[&<>"'\t\n\r]/g, (character) => ENTITIES[character] ?? `&#${character.charCodeAt(0)};`);
}
