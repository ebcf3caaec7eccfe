/** Characters beyond this one stand for "no letter of any stem". */
const ALPHABET = 128;

/**
 * A look for any of some stems, which are in small letters of ASCII, in texts of any case: one walk over the text for all of
 * them at once (Aho and Corasick, "Efficient string matching", CACM 1975), as a table: from the state and the character to the
 * next state, -1 where a stem has ended.
 */
export function ahoCorasick(stems: readonly string[]): (text: string) => boolean {
  const children: Map<number, number>[] = [new Map<number, number>()];
  const final = new Set<number>();
  for (const stem of stems) {
    let state = 0;
    for (const character of stem) {
      const code = character.charCodeAt(0);
      const next = children[state]?.get(code) ?? children.push(new Map()) - 1;
      children[state]?.set(code, next);
      state = next;
    }
    final.add(state);
  }
  const table = new Int16Array(children.length * ALPHABET);
  const fallback = new Int16Array(children.length);
  // Breadth first: a state's fallback is shallower than itself, so that its row is there already.
  for (const queue = [0]; queue.length > 0;) {
    const state = queue.shift() as number;
    const back = fallback[state] as number;
    for (let code = 0; code < ALPHABET; code++) {
      const child = children[state]?.get(code);
      const other = state === 0 ? 0 : (table[back * ALPHABET + code] as number);
      if (child === undefined) table[state * ALPHABET + code] = other;
      else {
        table[state * ALPHABET + code] = final.has(child) || other < 0 ? -1 : child;
        fallback[child] = Math.max(0, other);
        queue.push(child);
      }
    }
  }
  // Capitals walk as their small letters.
  for (let state = 0; state < children.length; state++)
    for (let code = 65; code <= 90; code++)
      table[state * ALPHABET + code] = table[state * ALPHABET + code + 32] as number;

  return (text) => {
    let state = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      state = code < ALPHABET ? (table[state * ALPHABET + code] as number) : 0;
      if (state < 0) return true;
    }
    return false;
  };
}
