import { distance } from 'fastest-levenshtein';

/** The known word that somebody who wrote `word` most likely meant: at most one letter in three differs. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const written = word.toLowerCase();
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(written, candidate.toLowerCase()) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best && best.far <= Math.ceil(word.length / 3) && best.far < best.candidate.length
    ? best.candidate
    : undefined;
}

/** `, did you mean "install"?`, or nothing where no known word is near. */
export function didYouMean(word: string, known: readonly string[]): string {
  const meant = suggest(word, known);
  return meant === undefined ? '' : `, did you mean ${JSON.stringify(meant)}?`;
}

/** `a, b or c`. */
export function listed(words: readonly string[], last = 'or'): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}
