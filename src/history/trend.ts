/** How much longer something took than it used to. */
export interface Slower {
  /** Above the median of the runs before, in percent. */
  readonly percent: number;
  readonly medianMs: number;
  /** How many runs before it that is the median of. */
  readonly of: number;
}

/** So many runs before the last are compared with it, and so few say nothing. */
const COMPARED = 10;
const FEWEST = 5;
/** Slower is what lies so far above the usual spread, and by so much. */
const DEVIATIONS = 3;
const LEAST_SHARE = 0.2;
const LEAST_MS = 1000;
/** The median absolute deviation of a normal distribution times this is its standard deviation. */
const MAD_SCALE = 1.4826;
const BARS = '▁▂▃▄▅▆▇█';

/** Of at least one value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : Math.round(((sorted[middle - 1] ?? 0) + upper) / 2);
}

/**
 * Whether the last of these durations is longer than those before it by more than they differ among themselves. Undefined where
 * it is not, or where there are too few to tell.
 * @param durations milliseconds, oldest first
 */
export function slowerThanBefore(durations: readonly number[]): Slower | undefined {
  const before = durations.slice(-COMPARED - 1, -1);
  const last = durations.at(-1);
  if (last === undefined || before.length < FEWEST) return undefined;
  const usual = median(before);
  const spread = MAD_SCALE * median(before.map((value) => Math.abs(value - usual)));
  if (last - usual <= Math.max(DEVIATIONS * spread, LEAST_SHARE * usual, LEAST_MS)) return undefined;
  return { percent: Math.round((100 * (last - usual)) / Math.max(1, usual)), medianMs: usual, of: before.length };
}

/** `+40 % against the last 10`. */
export function slowerText({ percent, of }: Slower): string {
  return `+${percent} % against the last ${of}`;
}

/** Values as bars, from their least to their greatest: `▁▁▂▁█`. */
export function sparkline(values: readonly number[]): string {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const bar = (value: number) =>
    BARS[high === low ? 0 : Math.round(((value - low) / (high - low)) * (BARS.length - 1))];
  return values.map(bar).join('');
}
