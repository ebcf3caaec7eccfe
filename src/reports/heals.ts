import type { HealRecord, RunReport } from '../domain/run.js';
import { changedConfiguration } from './outcome.js';
import { bytesText, durationText, plural } from './quantities.js';

/** What the record said of a heal before this run: `worked 7 of 8 times`. */
export function seenText({ seen }: HealRecord): string {
  const tried = seen.worked + seen.notWorked;
  return tried === 0 ? 'never tried before' : `worked ${seen.worked} of ${plural(tried, 'time')}`;
}

/** The command that prints what to commit; undefined where no heal that worked changed the configuration. */
export function patchCommand(run: RunReport): string | undefined {
  return changedConfiguration(run) ? `nixproof patch ${run.run}` : undefined;
}

/** How many checkpoints were taken, and what they cost; empty where there were none. */
export function checkpointsText({ checkpoints }: RunReport): string {
  if (checkpoints.length === 0) return '';
  const tookMs = checkpoints.reduce((sum, checkpoint) => sum + checkpoint.tookMs, 0);
  const bytes = checkpoints.reduce((sum, checkpoint) => sum + checkpoint.bytes, 0);
  return `${plural(checkpoints.length, 'checkpoint')}, for which the machine stood still ${durationText(tookMs)} in all (${bytesText(bytes)})`;
}
