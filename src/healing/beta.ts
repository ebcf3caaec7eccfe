import type { HealCounts } from '../domain/heal.js';

/** A random number in [0, 1). */
export type Random = () => number;

/** How many outcomes a catalogue's own confidence weighs as much as. */
export const PRIOR_STRENGTH = 4;

/** What is known of a heal's chance: a Beta distribution, the prior confidence and the outcomes together. */
export function posterior(
  prior: number,
  { worked, notWorked }: HealCounts,
): { readonly alpha: number; readonly beta: number } {
  return { alpha: PRIOR_STRENGTH * prior + worked, beta: PRIOR_STRENGTH * (1 - prior) + notWorked };
}

export function posteriorMean(prior: number, counts: HealCounts): number {
  const { alpha, beta } = posterior(prior, counts);
  return alpha / (alpha + beta);
}

/** One draw from the posterior. */
export function drawPosterior(prior: number, counts: HealCounts, random: Random): number {
  const { alpha, beta } = posterior(prior, counts);
  const a = drawGamma(alpha, random);
  const b = drawGamma(beta, random);
  return a + b === 0 ? alpha / (alpha + beta) : a / (a + b);
}

/** Marsaglia and Tsang, "A simple method for generating gamma variables" (2000); shapes below 1 by their own boost. */
function drawGamma(shape: number, random: Random): number {
  if (shape <= 0) return 0;
  if (shape < 1) return drawGamma(shape + 1, random) * Math.pow(1 - random(), 1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const x = drawNormal(random);
    const v = (1 + c * x) ** 3;
    if (v > 0 && Math.log(1 - random()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Box and Muller. */
function drawNormal(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
