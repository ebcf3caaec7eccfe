import { nixTokens, type NixToken } from './nix-tokens.js';

/** What the text of a flake.nix tells without evaluating it. */
export interface FlakeText {
  /** Names written out in `nixosConfigurations`, in order. */
  readonly hosts: readonly string[];
  /** Whether `nixosConfigurations` is made by a function (`mapAttrs …`), whose names only Nix can tell. */
  readonly computed: boolean;
  /** Whether the word `disko` stands anywhere outside comments. */
  readonly disko: boolean;
}

/** Reads `nixosConfigurations.NAME = …` and `nixosConfigurations = { NAME = …; }`; anything cleverer is for Nix. */
export function readFlakeText(source: string): FlakeText {
  const tokens = nixTokens(source);
  const hosts = new Set<string>();
  let computed = false;
  for (const [index, token] of tokens.entries()) {
    if (token.kind !== 'word' || token.text !== 'nixosConfigurations') continue;
    const next = index + 1;
    const named = isSign(tokens[next], '.') ? nameOf(tokens[next + 1]) : undefined;
    if (named !== undefined && isAssignment(tokens, next + 2)) hosts.add(named);
    if (!isAssignment(tokens, next)) continue;
    const open = tokens[next + 1]?.text === 'rec' ? next + 2 : next + 1;
    const set = isSign(tokens[open], '{') ? attributesOf(tokens, open + 1) : undefined;
    for (const name of set?.names ?? []) hosts.add(name);
    computed ||= set === undefined || set.dynamic || !isSign(tokens[set.end + 1], ';');
  }
  return {
    hosts: [...hosts],
    computed,
    disko: tokens.some(({ kind, text }) => kind !== 'sign' && /\bdisko\b/.test(text)),
  };
}

function isSign(token: NixToken | undefined, text: string): boolean {
  return token?.kind === 'sign' && token.text === text;
}

function isAssignment(tokens: readonly NixToken[], at: number): boolean {
  return isSign(tokens[at], '=') && !isSign(tokens[at + 1], '=');
}

function nameOf(token: NixToken | undefined): string | undefined {
  if (token?.kind === 'word') return token.text;
  return token?.kind === 'string' && !token.text.includes('${') ? token.text : undefined;
}

interface AttributeSet {
  readonly names: readonly string[];
  /** Whether some names are made by `"${…}" =` or `${…} =`. */
  readonly dynamic: boolean;
  /** Where its `}` stands. */
  readonly end: number;
}

/** The names bound directly in the attribute set whose first token stands at `at`. */
function attributesOf(tokens: readonly NixToken[], at: number): AttributeSet {
  const names: string[] = [];
  let dynamic = false;
  while (at < tokens.length && !isSign(tokens[at], '}')) {
    const end = endOfBinding(tokens, at);
    const name = nameOf(tokens[at]);
    if (name === 'inherit') names.push(...inheritedNames(tokens.slice(at + 1, end)));
    else if (name === undefined) dynamic = true;
    else if (isAssignment(tokens, at + 1) || isSign(tokens[at + 1], '.')) names.push(name);
    at = end + 1;
  }
  return { names, dynamic, end: at };
}

const OPENING: ReadonlySet<string> = new Set(['{', '(', '[', 'let']);
const CLOSING: ReadonlySet<string> = new Set(['}', ')', ']', 'in']);

/** Where the `;` of a binding stands. `with x;` and `assert x;` bring one of their own, `let … in` any number. */
function endOfBinding(tokens: readonly NixToken[], at: number): number {
  let depth = 0;
  let prefixes = 0;
  for (; at < tokens.length; at += 1) {
    const { kind, text } = tokens[at] as NixToken;
    if (kind === 'string') continue;
    if (OPENING.has(text)) depth += 1;
    if (CLOSING.has(text)) depth -= 1;
    if (depth < 0) return at - 1;
    if (depth === 0 && (text === 'with' || text === 'assert')) prefixes += 1;
    if (depth === 0 && text === ';') {
      if (prefixes === 0) return at;
      prefixes -= 1;
    }
  }
  return at;
}

function inheritedNames(tokens: readonly NixToken[]): string[] {
  const close = isSign(tokens[0], '(') ? tokens.findIndex((token) => isSign(token, ')')) : -1;
  return tokens.slice(close + 1).flatMap((token) => nameOf(token) ?? []);
}
