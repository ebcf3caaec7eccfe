import { createReadStream } from 'node:fs';
import { readLogLine } from './log-lines.js';
import { isSuspicious } from './prefilter.js';
import { createTemplateMiner, type TemplatesState } from './templates.js';
import { createStreamParser } from '../stream/parser.js';
import { CHUNK_BYTES, messageOfEvent } from './diagnose-log.js';

/** A line that is new to so many is forgotten first. */
const MAX_TEMPLATES = 2000;

/** Adds to what is known every line of a log that a diagnosis would look at. */
export async function mineSuccessBaseline({
  log,
  known,
}: {
  /** Path of an attempt's install.log. */
  readonly log: string;
  readonly known: TemplatesState | undefined;
}): Promise<TemplatesState> {
  const miner = createTemplateMiner({ maxTemplates: MAX_TEMPLATES }, known);
  const parser = createStreamParser();
  const learn = (events: ReturnType<typeof parser.push>) => {
    for (const event of events) {
      const text = messageOfEvent(event);
      if (text !== undefined && isSuspicious(text)) miner.learn(readLogLine(text).message);
    }
  };
  for await (const chunk of createReadStream(log, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>)
    learn(parser.push(chunk));
  learn(parser.end());
  return miner.state();
}
