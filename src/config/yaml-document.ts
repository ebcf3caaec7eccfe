import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Node,
  type YAMLParseError,
} from 'yaml';
import type { ConfigPath, Problem } from './validate.js';

/** Where something stands: both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

interface PositionedProblem {
  readonly position: Position;
  readonly message: string;
}

export type YamlFile =
  | { readonly ok: true; readonly value: unknown; readonly positionOf: (problem: Problem) => Position }
  | { readonly ok: false; readonly problems: readonly PositionedProblem[] };

/** Reads YAML (and so JSON) with the places of everything in it. `what`: what an empty file lacks. */
export function readYaml(text: string, what: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error', merge: true });
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      position: positionAt(error.pos[0]),
      message: yamlMessage(error, text),
    }));
    return { ok: false, problems };
  }
  const empty = document.contents === null || (isScalar(document.contents) && document.contents.value === null);
  if (empty)
    return { ok: false, problems: [{ position: positionAt(0), message: `the file is empty, expected ${what}` }] };
  try {
    return {
      ok: true,
      value: document.toJS({ maxAliasCount: 100 }) as unknown,
      positionOf: (problem) => positionAt(offsetOf(document, problem)),
    };
  } catch (error) {
    // Aliases are resolved only now: one without its anchor, or so many that they would fill the memory.
    const message =
      error instanceof Error ? error.message.replace(/^./, (first) => first.toLowerCase()) : String(error);
    return { ok: false, problems: [{ position: positionAt(unresolvedAlias(document)), message }] };
  }
}

function yamlMessage({ code, message, pos }: Pick<YAMLParseError, 'code' | 'message' | 'pos'>, text: string): string {
  switch (code) {
    case 'DUPLICATE_KEY':
      return `the key ${/^[^\s:]*/.exec(text.slice(pos[0]))?.[0] ?? ''} stands here for the second time`;
    case 'MULTIPLE_DOCS':
      return 'a second document begins here, expected one';
    case 'TAB_AS_INDENT':
      return 'indented by a tab, expected spaces';
    default:
      return `not valid YAML: ${message}`;
  }
}

function offsetOf(document: Document.Parsed, { path, at }: Problem): number {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const [index, step] of path.entries()) {
    const entry = entryOf(resolved(document, node), step);
    if (entry === undefined) break;
    const isLast = index === path.length - 1;
    const key = startOf(entry.key);
    offset = (isLast && at === 'key' ? key : undefined) ?? startOf(entry.value) ?? key ?? offset;
    node = entry.value;
  }
  return offset;
}

function entryOf(node: unknown, step: ConfigPath[number]): { key: unknown; value: unknown } | undefined {
  if (isSeq(node)) return typeof step === 'number' ? { key: undefined, value: node.items[step] } : undefined;
  if (!isMap(node)) return undefined;
  return node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
}

function resolved(document: Document.Parsed, node: unknown): unknown {
  return isAlias(node) ? node.resolve(document) : node;
}

function startOf(node: unknown): number | undefined {
  const { range, srcToken } = (node ?? {}) as Partial<Node>;
  // A value that is left out has a place of no length, which is of no help to the reader.
  const omitted = isScalar(node) && node.value === null && range?.[0] === range?.[1];
  return omitted ? undefined : (range?.[0] ?? srcToken?.offset);
}

function unresolvedAlias(document: Document.Parsed): number {
  let offset = 0;
  const look = (node: unknown): boolean => {
    if (isAlias(node) && node.resolve(document) === undefined) {
      offset = startOf(node) ?? 0;
      return true;
    }
    if (isSeq(node)) return node.items.some(look);
    return isMap(node) && node.items.some(({ key, value }) => look(key) || look(value));
  };
  look(document.contents);
  return offset;
}
