import type { FailureClass } from '../domain/diagnosis.js';
import type { Candidate, Evidence, Heal, HealCounts, TreeEdit } from '../domain/heal.js';
import type { UserHeal } from '../domain/profile.js';
import { drawPosterior, posteriorMean, type Random } from './beta.js';
import { CATALOGUE } from './catalogue/index.js';
import { planOf } from './catalogue/shell.js';

export interface RankingInput {
  /** One for each diagnosis of the failure, best first. */
  readonly evidences: readonly Evidence[];
  /** Of the configuration. One with a built-in heal's name takes its place. */
  readonly userHeals?: readonly UserHeal[];
  readonly counts: (name: FailureClass, heal: string) => HealCounts;
  /** Names of the heals that were applied for the same failure already. */
  readonly tried?: ReadonlySet<string>;
  /** Explores: the order is by a draw from what is known of each heal (Thompson), and no longer by its mean. */
  readonly explore?: Random;
  /** Default: the catalogue. */
  readonly heals?: readonly Heal[];
}

/** Every heal that can be applied now, best first. `confidence` is the mean, however the order came about. */
export function rankHeals(input: RankingInput): readonly Candidate[] {
  const { evidences, counts, userHeals = [], tried = new Set(), explore, heals: builtIn = CATALOGUE } = input;
  const taken = new Set(userHeals.map(({ name }) => name));
  const heals = [...userHeals.map(healOf), ...builtIn.filter(({ name }) => !taken.has(name))];
  const ranked = new Map<string, { readonly candidate: Candidate; readonly score: number }>();
  for (const evidence of evidences) {
    const { class: failureClass, confidence: sureness } = evidence.diagnosis;
    for (const heal of heals) {
      if (tried.has(heal.name) || !heal.for.includes(failureClass) || !isSafe(heal, evidence)) continue;
      const plan = heal.plan(evidence);
      if (plan === undefined) continue;
      const seen = counts(failureClass, heal.name);
      const confidence = sureness * posteriorMean(heal.confidence, seen);
      const score = explore === undefined ? confidence : sureness * drawPosterior(heal.confidence, seen, explore);
      if ((ranked.get(heal.name)?.score ?? -1) >= score) continue;
      const { name, title } = heal;
      ranked.set(name, { candidate: { name, class: failureClass, title, confidence, seen, plan }, score });
    }
  }
  return [...ranked.values()].sort((a, b) => b.score - a.score).map(({ candidate }) => candidate);
}

/** What acts on the system of a machine that shares its host's would act on the host. */
function isSafe({ scope }: Heal, { machine }: Evidence): boolean {
  return scope === 'files' || !machine.sharesSystem;
}

/** A user's heal is one of ours without a precondition. */
function healOf({ name, for: failureClass, confidence, run, config, undo, resume }: UserHeal): Heal {
  const edits = Object.entries(config).map(([path, content]): TreeEdit => ({ kind: 'write', path, content }));
  return {
    name,
    for: [failureClass],
    // What its commands touch is its author's choice.
    scope: 'files',
    title: 'A heal of the configuration’s own',
    confidence,
    plan: () => planOf({ commands: run, undo, edits, resume }),
  };
}
