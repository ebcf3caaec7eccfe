import path from 'node:path';
import type { TemplatesState } from '../../diagnosis/templates.js';
import { readJson, writeJson } from '../../host/files.js';
import { withLock } from '../../host/lock.js';
import { readInThread } from '../../diagnosis/pool.js';

/** `records/templates/<profile>.json`: what alarming lines a profile's installer printed although it succeeded. */
interface SuccessBaseline {
  readonly templates: TemplatesState;
  /** The last runs that were learned from: told again, a run is learned once. */
  readonly runs: readonly string[];
}

const REMEMBERED_RUNS = 50;
/** How long a log is learned from. */
const BUDGET_MS = 60_000;

function fileOf(home: string, profile: string): string {
  return path.join(home, 'records', 'templates', `${encodeURIComponent(profile)}.json`);
}

/** Templates of the lines that say little of a failure, because this profile's successes have them too. */
export async function readSuccessBaseline(home: string, profile: string): Promise<TemplatesState | undefined> {
  return (await readJson<SuccessBaseline>(fileOf(home, profile)))?.templates;
}

/**
 * Learns from the log of an installer that succeeded: every line of it that a diagnosis would have looked at.
 * @param log path of the attempt's install.log
 * @throws ReadingBrokenOff where that takes too long: nothing is learned then
 */
export async function learnSuccessBaseline(
  home: string,
  { profile, run }: { readonly profile: string; readonly run: string },
  log: string,
  signal: AbortSignal,
): Promise<void> {
  const file = fileOf(home, profile);
  await withLock(`${file}.lock`, {}, async () => {
    const known = await readJson<SuccessBaseline>(file);
    if (known?.runs.includes(run)) return;
    const templates = await readInThread(
      'mineSuccessBaseline',
      { log, known: known?.templates },
      { signal, budgetMs: BUDGET_MS },
    );
    const runs = [...(known?.runs ?? []), run].slice(-REMEMBERED_RUNS);
    await writeJson(file, { templates, runs } satisfies SuccessBaseline);
  });
}
