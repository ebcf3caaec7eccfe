import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A fenced block of a page. */
export interface Block {
  readonly language: string;
  readonly text: string;
  /** Line of its opening fence, from 1. */
  readonly line: number;
  /** Whether `<!-- run -->` stands right before it. */
  readonly run: boolean;
}

export interface Page {
  /** Relative to the repository. */
  readonly name: string;
  readonly blocks: readonly Block[];
  /** Code spans of the prose. */
  readonly spans: readonly string[];
  /** Targets of the prose's links. */
  readonly links: readonly string[];
  /** Headings as anchors. */
  readonly anchors: readonly string[];
}

/** README, CONTRIBUTING and everything in docs. */
export function pages(): readonly Page[] {
  const docs = readdirSync(path.join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
  return ['README.md', 'CONTRIBUTING.md', ...docs.sort().map((name) => `docs/${name}`)].map(readPage);
}

export function readPage(name: string): Page {
  const lines = readFileSync(path.join(ROOT, name), 'utf8').split('\n');
  const blocks: Block[] = [];
  const prose: string[] = [];
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(\w*)$/.exec(lines[at] ?? '')?.[1];
    if (language === undefined) {
      prose.push(lines[at] ?? '');
      continue;
    }
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`${name}:${at + 1}: the block does not end`);
    const text = lines.slice(at + 1, end).join('\n');
    blocks.push({ language, text, line: at + 1, run: prose.findLast((before) => before !== '') === '<!-- run -->' });
    at = end;
  }
  const text = prose.join('\n');
  return {
    name,
    blocks,
    spans: matches(text, /`([^`]+)`/g).map((span) => span.replace(/\s+/g, ' ')),
    links: matches(text, /\]\(([^)\s]+)\)/g),
    anchors: matches(text, /^#+ (.*)$/gm).map(anchorOf),
  };
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map(([, group = '']) => group);
}

/** As GitHub makes them. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
}
