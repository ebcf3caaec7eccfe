import { RE2JS, RE2JSException } from 're2js';

/**
 * A user's regular expression, in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax),
 * whose engine takes no longer than pattern and text are long. It has neither backreferences nor
 * looks around: those cost without bound.
 */
function compile(pattern: string): RE2JS {
  return RE2JS.compile(RE2JS.translateRegExp(pattern));
}

/**
 * Whether a user's pattern matches somewhere in a text. To be called in a thread: a long pattern
 * takes long all the same.
 */
export function matches({ pattern, text }: { readonly pattern: string; readonly text: string }): boolean {
  return compile(pattern).matcher(text).find();
}

/** What RE2 has not, and what does the same. */
const INSTEAD: readonly (readonly [what: RegExp, instead: string])[] = [
  [
    /^\(\?<?[=!]/,
    'it looks around, which takes without bound: write two checks, or let the command choose with `grep -P`',
  ],
  [/^\\(?:[1-9]|k<)/, 'it refers back, which takes without bound: let the command compare'],
  [/^\{/, 'at most 1000 repeats: write `+`, or let the command count'],
];
/** A backreference by name, which the engine would take for its letters. */
const BY_NAME = /^(?:[^\\]|\\[^k])*(?=\\k<)/;

/**
 * Why a pattern is refused: what, where in it, and what to write instead; undefined where it is
 * not.
 */
export function problemOf(pattern: string): string | undefined {
  const named = BY_NAME.exec(pattern)?.[0];
  if (named !== undefined) return problemAt(pattern, pattern.slice(named.length), 'invalid escape sequence');
  try {
    compile(pattern);
    return undefined;
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const { input, error: what } = error as { readonly input?: string | null; readonly error?: string };
    return problemAt(pattern, input ?? pattern, what ?? error.message);
  }
}

function problemAt(pattern: string, part: string, what: string): string {
  const at = Math.max(0, pattern.indexOf(part));
  const instead = INSTEAD.find(([kind]) => kind.test(pattern.slice(at)))?.[1];
  // The engine's message names the part it stumbled on, which may be the whole rest.
  const named = /^\(\?<?[=!]|^\\k?./.exec(part)?.[0] ?? part;
  return `“${named}” at character ${at + 1}: ${instead ?? what}`;
}
