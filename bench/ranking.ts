import type { Evidence, Heal, HealCounts } from '../src/domain/heal.js';
import type * as rankingModule from '../src/healing/ranking.js';
import type * as catalogueModule from '../src/healing/catalogue/index.js';
import { randomFrom, type Random } from './installer-log.js';

/**
 * How many heals it takes until one works: the ranking that learns, by its mean and exploring, beside the fixed order of the
 * catalogue.
 *
 *     npm run build && node --import jiti/register bench/ranking.ts --dist [--json]
 *
 * A history is so many failures of one class on one host, one after the other, from an empty record. For each the heals are
 * tried in the ranking's order until one works. Every order meets the same luck. Where none works, all were tried.
 */

const HISTORIES = 400;
const FAILURES = 40;
const RESAMPLES = 2000;
/** The first so many failures of each history, and the last: before and after something is known. */
const SPAN = 10;

const folder = process.argv.includes('--dist') ? '../dist/healing' : '../src/healing';
const { rankHeals } = (await import(`${folder}/ranking.js`)) as typeof rankingModule;
const { healsFor } = (await import(`${folder}/catalogue/index.js`)) as typeof catalogueModule;

/** The heals of a class that has many, with their own priors; each could be applied. */
const HEALS: readonly Heal[] = healsFor('network.dns').map((heal) => ({
  ...heal,
  plan: () => ({ commands: [], undo: [], edits: [], resume: 'phase' }),
}));
const PRIORS = HEALS.map(({ confidence }) => confidence);

const evidence: Evidence = {
  diagnosis: {
    class: 'network.dns',
    confidence: 0.9,
    line: 0,
    offset: 0,
    evidence: [],
    why: '',
    rule: '',
    captures: {},
  },
  phase: '',
  probes: {},
  machine: { disks: [], memoryMiB: 0, firmware: 'uefi', sharesSystem: false },
  install: { kind: 'script' },
  tree: '',
};

/** One history's world: whether a heal works, for each failure and each heal. */
type World = (random: Random) => (failure: number) => readonly boolean[];

const byChance =
  (chances: (random: Random) => (failure: number) => readonly number[]): World =>
  (random) => {
    const at = chances(random);
    return (failure) => at(failure).map((chance) => random() < chance);
  };
const clamped = (value: number) => Math.min(0.98, Math.max(0.02, value));
const order = PRIORS.map((_, at) => at).sort((a, b) => (PRIORS[b] ?? 0) - (PRIORS[a] ?? 0));
/** As likely as the catalogue says of the heal at the other end of its order. */
const UPSIDE_DOWN = PRIORS.map((_, at) => PRIORS[order[order.length - 1 - order.indexOf(at)] ?? 0] ?? 0);

const SCENARIOS: Readonly<Record<string, World>> = {
  'the priors are right': byChance(() => () => PRIORS),
  'the priors are about right (± 0.15)': byChance((random) => {
    const chances = PRIORS.map((prior) => clamped(prior + 0.3 * (random() - 0.5)));
    return () => chances;
  }),
  'the priors are upside down': byChance(() => () => UPSIDE_DOWN),
  'the priors say nothing': byChance((random) => {
    const chances = PRIORS.map(() => clamped(random()));
    return () => chances;
  }),
  'one heal alone works here': (random) => {
    const one = Math.floor(random() * PRIORS.length);
    return () => PRIORS.map((_, at) => at === one && random() < 0.9);
  },
  'right at first, then upside down': byChance(() => (failure) => (failure < FAILURES / 2 ? PRIORS : UPSIDE_DOWN)),
};

type Policy = (counts: (name: string) => HealCounts, random: Random) => readonly string[];
const POLICIES: Readonly<Record<'fixed' | 'learned' | 'exploring', Policy>> = {
  fixed: () => rank(() => ({ worked: 0, notWorked: 0 })),
  learned: (counts) => rank(counts),
  exploring: (counts, random) => rank(counts, random),
};

function rank(counts: (name: string) => HealCounts, explore?: Random): readonly string[] {
  return rankHeals({
    evidences: [evidence],
    heals: HEALS,
    counts: (_, name) => counts(name),
    ...(explore === undefined ? {} : { explore }),
  }).map(({ name }) => name);
}

/** How many heals each failure of a history took. */
function live(policy: Policy, luck: readonly (readonly boolean[])[], random: Random): readonly number[] {
  const record = new Map<string, HealCounts>();
  return luck.map((works) => {
    // The order stands for one failure: the record of others does not change within it.
    const ranked = policy((name) => record.get(name) ?? { worked: 0, notWorked: 0 }, random);
    for (const [index, name] of ranked.entries()) {
      const worked = works[HEALS.findIndex((heal) => heal.name === name)] === true;
      const seen = record.get(name) ?? { worked: 0, notWorked: 0 };
      record.set(name, worked ? { ...seen, worked: seen.worked + 1 } : { ...seen, notWorked: seen.notWorked + 1 });
      if (worked) return index + 1;
    }
    return ranked.length;
  });
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

/** 95 % confidence interval of a mean, by resampling whole histories: the failures of one are not independent. */
function interval(values: readonly number[], random: Random): readonly [number, number] {
  const means = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let at = 0; at < values.length; at++) sum += values[Math.floor(random() * values.length)] ?? 0;
    return sum / values.length;
  }).sort((a, b) => a - b);
  return [means[Math.floor(RESAMPLES * 0.025)] ?? 0, means[Math.floor(RESAMPLES * 0.975)] ?? 0];
}

function simulate(name: string, world: World, seed: number) {
  const histories = Array.from({ length: HISTORIES }, (_, history) => {
    const works = world(randomFrom(seed * 100_003 + history));
    const luck = Array.from({ length: FAILURES }, (_, failure) => works(failure));
    const draws = randomFrom(history + 1);
    return {
      fixed: live(POLICIES.fixed, luck, draws),
      learned: live(POLICIES.learned, luck, draws),
      exploring: live(POLICIES.exploring, luck, draws),
    };
  });
  const of = (policy: keyof typeof POLICIES, from = 0, to = FAILURES) =>
    mean(histories.map((history) => mean(history[policy].slice(from, to))));
  const saved = (policy: keyof typeof POLICIES) => {
    const differences = histories.map((history) => mean(history.fixed) - mean(history[policy]));
    const [low, high] = interval(differences, randomFrom(99));
    return { mean: mean(differences), low, high, says: low > 0 ? 'better' : high < 0 ? 'worse' : 'no different' };
  };
  return {
    name,
    fixed: of('fixed'),
    learned: of('learned'),
    exploring: of('exploring'),
    learnedFirst: of('learned', 0, SPAN),
    learnedLast: of('learned', FAILURES - SPAN),
    savedByLearning: saved('learned'),
    savedByExploring: saved('exploring'),
  };
}

const results = Object.entries(SCENARIOS).map(([name, world], index) => simulate(name, world, index + 1));
if (process.argv.includes('--json')) console.log(JSON.stringify(results));
else tell();

function tell(): void {
  console.log(
    `heals until one works; ${HEALS.length} heals of network.dns, ${HISTORIES} histories of ${FAILURES} failures, 95 % intervals over histories\n`,
  );
  console.log(
    '                                     fixed  learned (first 10, last 10)   saved by learning              exploring   saved by exploring',
  );
  for (const row of results) {
    const figure = (value: number) => value.toFixed(2).padStart(5);
    const saved = ({ mean: value, low, high, says }: (typeof row)['savedByLearning']) =>
      `${value.toFixed(2)} [${low.toFixed(2)}, ${high.toFixed(2)}] ${says}`.padEnd(33);
    console.log(
      `${row.name.padEnd(36)} ${figure(row.fixed)}  ${figure(row.learned)}   (${figure(row.learnedFirst)}, ${figure(row.learnedLast)})          ${saved(row.savedByLearning)}${figure(row.exploring)}      ${saved(row.savedByExploring)}`,
    );
  }
}
