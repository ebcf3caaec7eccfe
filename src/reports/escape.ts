/** How long a text of the guest may be in a report, in UTF-16 units, where the caller names no other bound. */
export const TEXT_LIMIT = 1000;

/**
 * Terminal control sequences (ECMA-48): CSI; the strings OSC, DCS, SOS, PM and APC where they are terminated; the short ones.
 * No two alternatives can start inside one another's unbounded part, so matching is linear in hostile text too.
 */
const SEQUENCES =
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x80-\x9f]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]/g;
const CONTROLS = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/g;
/**
 * What hides or reorders text: bidirectional marks, embeddings and isolates, line separators, interlinear and tag characters,
 * noncharacters, and halves of surrogate pairs (Unicode TR36, "Trojan Source").
 */
const DECEIVERS =
  /[\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\u{e0000}-\u{e007f}]|\p{Surrogate}/gu;

/**
 * Text without anything a terminal, editor or browser would obey: no escape sequences, no control characters but newline and
 * tab (a carriage return becomes a newline), and U+FFFD in place of characters that hide or reorder others. Idempotent.
 */
export function stripTerminal(text: string): string {
  return text.replace(SEQUENCES, '').replace(/\r\n?/g, '\n').replace(CONTROLS, '').replace(DECEIVERS, '\ufffd');
}

/** The beginning of a text, saying how long it was where something was cut off. `limit` is in UTF-16 units. */
export function clip(text: string, limit: number = TEXT_LIMIT): string {
  if (text.length <= limit) return text;
  const end = /[\ud800-\udbff]/.test(text.charAt(limit - 1)) ? limit - 1 : limit;
  return `${text.slice(0, end)}… (${text.length} characters)`;
}

/** One harmless line: control sequences removed, white space collapsed, bounded. Still to be escaped for HTML, XML or Markdown. */
export function oneLine(text: string, limit: number = TEXT_LIMIT): string {
  return bounded(text, limit, (clean) => clean.replace(/\s+/g, ' ').trim());
}

/** As `oneLine`, but with the spaces inside kept: tools print tables. */
export function logLine(text: string, limit: number = TEXT_LIMIT): string {
  return bounded(text, limit, (clean) => clean.replace(/\n/g, ' ').trimEnd());
}

/** Cuts before cleaning, so that a name of a megabyte costs nothing; the reserve is for what cleaning removes. */
function bounded(text: string, limit: number, shape: (clean: string) => string): string {
  const cut = text.slice(0, limit * 8);
  const clean = shape(stripTerminal(cut));
  return cut.length === text.length ? clip(clean, limit) : `${clean.slice(0, limit)}… (${text.length} characters)`;
}

const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Guest text for HTML, between tags or inside a quoted attribute. */
export function escapeHtml(text: string): string {
  return stripTerminal(text).replace(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? '');
}

/** Guest text for XML 1.0, between tags or inside a quoted attribute: characters the standard forbids are left out (§2.2, Char). */
export function escapeXml(text: string): string {
  return stripTerminal(text)
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? '');
}

/**
 * Guest text for a line or table cell of GitHub's Markdown, shown as it is: no emphasis, link, mention, image, mathematics or
 * HTML comes of it. Backslash and bar become entities, since a table reads them before anything else does.
 */
export function escapeMarkdown(text: string): string {
  return stripTerminal(text)
    .replace(/\s+/g, ' ')
    .replace(/[&<>"'`|\\@$]|:(?=\S)/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/www\./gi, (www) => `${www.slice(0, 3)}&#46;`)
    .replace(/[*_{}[\]()~!]|(?<!&)#|^[-+=]/g, (character) => `\\${character}`);
}

/** Guest text as code inside a line or table cell of Markdown. */
export function markdownCode(text: string): string {
  const clean = stripTerminal(text).replace(/\s+/g, ' ').trim();
  if (clean === '') return '—';
  return /[`|\\]/.test(clean) ? `<code>${escapeMarkdown(clean)}</code>` : `\`${clean}\``;
}

/** Guest text as a fenced block of Markdown; the fence is longer than any run of backticks in the text. */
export function markdownFence(text: string): string {
  const clean = stripTerminal(text);
  const longest = (clean.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 2);
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${clean}\n${fence}`;
}
