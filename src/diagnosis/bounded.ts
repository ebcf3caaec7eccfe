/**
 * How often at most what a pattern lets repeat without bound may repeat; longer than anything that
 * a rule has to read.
 */
const MOST = 100;

/**
 * A part of a pattern's text: an escape, a class, a repeat without an upper bound, or any other
 * character.
 */
const PARTS = /\\.|\[(?:\\.|[^\]\\])*\]|[*+]|\{(\d+),\}|./gs;

/**
 * The same pattern with an upper bound for each repeat. A repeat without one that may begin at many
 * places of a line is read to the line's end from each of them, which takes the square of the
 * line's length.
 */
export function bounded(pattern: RegExp): RegExp {
  const source = pattern.source.replace(PARTS, (part, least?: string) => {
    if (part === '*') return `{0,${MOST}}`;
    if (part === '+') return `{1,${MOST}}`;
    return least === undefined ? part : `{${least},${MOST}}`;
  });
  return new RegExp(source, pattern.flags);
}
