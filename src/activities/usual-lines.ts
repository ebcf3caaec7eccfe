import { createReadStream } from 'node:fs';
import path from 'node:path';
import { isSuspicious } from '../healing/suspicion.js';
import { readLogLine } from '../healing/log-lines.js';
import { createTemplateMiner, type TemplatesState } from '../healing/templates.js';
import { readJson, writeJson } from '../host/files.js';
import { withLock } from '../host/lock.js';
import { createStreamParser } from '../stream/parser.js';
import { messageOfEvent } from './diagnose-log.js';

/** `records/templates/<profile>.json`: what alarming lines a profile's installer printed although it succeeded. */
interface UsualLines {
  readonly templates: TemplatesState;
  /** The last runs that were learned from: told again, a run is learned once. */
  readonly runs: readonly string[];
}

const REMEMBERED_RUNS = 50;
/** A line that is new to so many is forgotten first. */
const MAX_TEMPLATES = 2000;

function fileOf(home: string, profile: string): string {
  return path.join(home, 'records', 'templates', `${encodeURIComponent(profile)}.json`);
}

/** Templates of the lines that say little of a failure, because this profile's successes have them too. */
export async function readUsualLines(home: string, profile: string): Promise<TemplatesState | undefined> {
  return (await readJson<UsualLines>(fileOf(home, profile)))?.templates;
}

/**
 * Learns from the log of an installer that succeeded: every line of it that a diagnosis would have looked at.
 * @param log path of the attempt's install.log
 */
export async function learnUsualLines(
  home: string,
  { profile, run }: { readonly profile: string; readonly run: string },
  log: string,
): Promise<void> {
  const file = fileOf(home, profile);
  await withLock(`${file}.lock`, {}, async () => {
    const known = await readJson<UsualLines>(file);
    if (known?.runs.includes(run)) return;
    const miner = createTemplateMiner({ maxTemplates: MAX_TEMPLATES }, known?.templates);
    const parser = createStreamParser();
    const learn = (events: ReturnType<typeof parser.push>) => {
      for (const event of events) {
        const text = messageOfEvent(event);
        if (text !== undefined && isSuspicious(text)) miner.learn(readLogLine(text).message);
      }
    };
    for await (const chunk of createReadStream(log, { highWaterMark: 1 << 18 }) as AsyncIterable<Buffer>)
      learn(parser.push(chunk));
    learn(parser.end());
    const runs = [...(known?.runs ?? []), run].slice(-REMEMBERED_RUNS);
    await writeJson(file, { templates: miner.state(), runs } satisfies UsualLines);
  });
}
