/**
 * A miner of log templates after Drain (He, Zhu, Zheng, Lyu: "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
 * ICWS 2017): lines of as many words that begin alike are compared with the templates seen so far, and join the likest.
 */
export interface Template {
  readonly id: number;
  /** Words, with `<*>` where they differ. */
  readonly text: string;
  readonly count: number;
}

/** All that a miner knows, plain JSON: templates from the least to the most recently seen. */
export interface TemplatesState {
  readonly version: 1;
  readonly nextId: number;
  readonly templates: readonly Template[];
}

export interface TemplateMiner {
  /** Takes a line; answers the template it belongs to, whether that is new, and how often it was seen with this time. */
  learn(line: string): { readonly id: number; readonly isNew: boolean; readonly count: number };
  /** The template a line belongs to, learning nothing; undefined where it belongs to none. */
  find(line: string): Template | undefined;
  state(): TemplatesState;
}

export interface MinerOptions {
  /** The least recently seen is forgotten beyond so many. */
  readonly maxTemplates?: number;
  /** How much of a line must be the same, 0 to 1. */
  readonly likeness?: number;
}

const ANY = '<*>';
/** Words by which lines are sorted before they are compared. */
const ROUTING_WORDS = 2;
const MAX_CHARS = 2000;
const MAX_WORDS = 120;

/** Parts of a line that are surely values: addresses, numbers with units, hashes, paths, quoted names. */
const VALUES =
  /\/nix\/store\/[a-z0-9]{32}-\S*|(?<![\w+.-])[\w+.-]{1,40}:\/\/\S+|(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?![\w.])|\b0x[0-9a-f]+\b|\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b|\bblk_-?\d+\b|(?<![\w/])\/(?:[\w.+@-]+\/)+[\w.+@-]*|\b[0-9a-f]{2}(?::[0-9a-f]{2}){5,31}\b|(?<![\w.])[-+]?\d+(?:[.:,]\d+)*(?:%|[kKMGT]?i?B|ms|s|m|h)?(?![\w.])/gi;
const HAS_DIGIT = /\d/;

interface Cluster {
  readonly id: number;
  readonly words: string[];
  readonly route: string;
  count: number;
}

/** A miner that knows nothing, or what another one knew. */
export function createTemplateMiner(options: MinerOptions = {}, from?: TemplatesState): TemplateMiner {
  const { maxTemplates = 2000, likeness = 0.75 } = options;
  // A Map keeps its order of insertion: taken out and put in again at each use, its first is the least recently seen.
  const clusters = new Map<number, Cluster>();
  const routes = new Map<string, Cluster[]>();
  let nextId = from?.nextId ?? 1;
  for (const { id, text, count } of from?.templates ?? []) remember({ id, words: text.split(' '), count });

  function remember({ id, words, count }: { id: number; words: string[]; count: number }): Cluster {
    const cluster: Cluster = { id, words, route: routeOf(words), count };
    clusters.set(id, cluster);
    const known = routes.get(cluster.route);
    if (known === undefined) routes.set(cluster.route, [cluster]);
    else known.push(cluster);
    return cluster;
  }

  function forgetOldest(): void {
    const oldest = clusters.values().next().value;
    if (oldest === undefined) return;
    clusters.delete(oldest.id);
    const left = (routes.get(oldest.route) ?? []).filter((cluster) => cluster !== oldest);
    if (left.length === 0) routes.delete(oldest.route);
    else routes.set(oldest.route, left);
  }

  function likest(words: readonly string[]): Cluster | undefined {
    let best: Cluster | undefined;
    let most = -1;
    for (const cluster of routes.get(routeOf(words)) ?? []) {
      const same = sameness(cluster.words, words);
      if (same > most) {
        most = same;
        best = cluster;
      }
    }
    return most >= likeness ? best : undefined;
  }

  return {
    learn(line) {
      const words = wordsOf(line);
      const known = likest(words);
      if (known === undefined) {
        if (clusters.size >= maxTemplates) forgetOldest();
        return { id: remember({ id: nextId++, words, count: 1 }).id, isNew: true, count: 1 };
      }
      known.count++;
      for (let at = 0; at < words.length; at++) if (known.words[at] !== words[at]) known.words[at] = ANY;
      clusters.delete(known.id);
      clusters.set(known.id, known);
      return { id: known.id, isNew: false, count: known.count };
    },
    find(line) {
      const known = likest(wordsOf(line));
      return known === undefined ? undefined : told(known);
    },
    state: () => ({ version: 1, nextId, templates: [...clusters.values()].map(told) }),
  };
}

function told({ id, words, count }: Cluster): Template {
  return { id, text: words.join(' '), count };
}

/** A line's words with its values masked. */
function wordsOf(line: string): string[] {
  const text = line.length > MAX_CHARS ? line.slice(0, MAX_CHARS) : line;
  return text.replace(VALUES, ANY).trim().split(/\s+/, MAX_WORDS);
}

/** Lines of the same number of words that begin with the same ones are comparable. Words with digits say nothing. */
function routeOf(words: readonly string[]): string {
  let route = String(words.length);
  for (let at = 0; at < ROUTING_WORDS && at < words.length; at++) {
    const word = words[at] as string;
    route += ` ${HAS_DIGIT.test(word) || word.includes(ANY) ? ANY : word}`;
  }
  return route;
}

/** The share of a line's own words, values left out, that the template has too, or has found to vary. */
function sameness(template: readonly string[], words: readonly string[]): number {
  let same = 0;
  let told = 0;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const known = template[at] as string;
    if (word === ANY) {
      // A value where the template has a word of its own: likely another message.
      if (known !== ANY) told++;
      continue;
    }
    told++;
    if (word === known || known === ANY) same++;
  }
  return told === 0 ? 1 : same / told;
}
