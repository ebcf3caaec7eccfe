import type { XmlElement } from '../domain/xml.js';
import { clip, escapeXml } from './escape.js';

/** Longest attribute and longest text written, UTF-16 units. */
const ATTRIBUTE_LIMIT = 500;
const CONTENT_LIMIT = 20_000;

/** A whole document of XML 1.0, well-formed whatever the texts hold. Names of elements and attributes are ours. */
export function xmlDocument(root: XmlElement): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${written(root, '')}\n`;
}

function written({ name, attributes, content }: XmlElement, indent: string): string {
  const pairs = Object.entries(attributes)
    .filter((pair): pair is [string, string | number] => pair[1] !== undefined)
    .map(([key, value]) => ` ${key}="${escapeXml(clip(String(value), ATTRIBUTE_LIMIT)).replace(/\s+/g, ' ')}"`)
    .join('');
  if (content.length === 0) return `${indent}<${name}${pairs}/>`;
  if (typeof content === 'string')
    return `${indent}<${name}${pairs}>${escapeXml(clip(content, CONTENT_LIMIT))}</${name}>`;
  const children = content.map((child) => written(child, `${indent}  `)).join('\n');
  return `${indent}<${name}${pairs}>\n${children}\n${indent}</${name}>`;
}
