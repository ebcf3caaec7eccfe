/** A random number in [0, 1): the same sequence for the same seed (mulberry32). */
export type Random = () => number;

export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const LINES_A_PART = 5000;
const BUILDS_ID = '9007199254740993';

type Kind = readonly [weight: number, line: (random: Random, at: number) => string];

/** What an installer prints, by how often: mostly plain lines, some coloured, Nix's JSON where it builds, a few markers. */
const KINDS: readonly Kind[] = [
  [
    50,
    (random, at) => `copying path '/nix/store/${hash(random)}-package-${at % 977}' from 'https://cache.example.org'...`,
  ],
  [
    15,
    (random, at) =>
      `[${String(at).padStart(8)}.${digits(random, 6)}] systemd[1]: Started unit-${digits(random, 3)}.service.`,
  ],
  [8, (random) => `\x1b[1;32m  OK  \x1b[0m Reached target \x1b[0;1;39mtarget-${digits(random, 2)}\x1b[0m.`],
  [
    8,
    (random) =>
      `@nix {"action":"result","fields":["compiling object ${digits(random, 5)}.o"],"id":${BUILDS_ID},"type":101}`,
  ],
  [4, (_, at) => `@nix {"action":"result","fields":[${at >> 10},977,1,0],"id":${BUILDS_ID},"type":105}`],
  [
    3,
    (random) =>
      Array.from({ length: 8 }, (_, i) => `\rreceiving objects: ${i * 14}% ${digits(random, 4)} KiB`).join(''),
  ],
  [4, (random) => `Größe von /mnt/boot/kernel-${digits(random, 3)}: ${digits(random, 2)} MiB – übernommen`],
  [3, (_, at) => `::PROGRESS::copy::${at % 1000}/1000`],
  [2, (random) => `::METRIC::mem_mib::${digits(random, 4)}`],
  [2, (random) => `::CONTEXT::disk /dev/vd${digits(random, 1)}`],
  [1, (_, at) => (at % 200 === 0 ? '::ERROR::curl failed, trying again' : `::PHASE::PHASE_${at % 12}`)],
];

/** A log of exactly so many lines, in parts. Deterministic in `random`. */
export function* realisticLog(lines: number, random: Random): Generator<string> {
  const deck = KINDS.flatMap(([weight, line]) => Array.from({ length: weight }, () => line));
  yield `@nix {"action":"start","id":${BUILDS_ID},"level":0,"text":"","type":104}\n`;
  for (let at = 1; at < lines;) {
    let part = '';
    for (const end = Math.min(lines, at + LINES_A_PART); at < end; at++) {
      const line = deck[Math.floor(random() * deck.length)];
      part += `${line?.(random, at) ?? ''}\n`;
    }
    yield part;
  }
}

function digits(random: Random, count: number): string {
  return String(Math.floor(random() * 10 ** count)).padStart(count, '0');
}

function hash(random: Random): string {
  return Array.from({ length: 4 }, () =>
    Math.floor(random() * 36 ** 8)
      .toString(36)
      .padStart(8, '0'),
  ).join('');
}
