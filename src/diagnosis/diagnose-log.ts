import { createReadStream } from 'node:fs';
import { incomplete, type Diagnosis } from '../domain/diagnosis.js';
import type { StreamEvent } from '../domain/event.js';
import { createDiagnoser, type Diagnoser } from './diagnose.js';
import type { TemplatesState } from './templates.js';
import { isErrno } from '../host/files.js';
import { createStreamParser } from '../stream/parser.js';

/** Whether a log is a run's events.ndjson: each line tells an event of ours. */
const EVENT_LINE = /^\{"offset":\d+,"at":\d+,"type":"/;

/** Bytes of a log that are read at a time. */
export const CHUNK_BYTES = 1 << 18;

export interface DiagnoseLogOptions {
  /** Templates of lines that the same installer prints when it succeeds. */
  readonly usual?: TemplatesState;
  /** Whether what printed the log is known to have failed, whatever the log says. */
  readonly failed?: boolean;
  /** After how many milliseconds no more of the log is read. Default: all of it is read. */
  readonly budgetMs?: number;
}

/** What a thread is told to diagnose: a file, or a text. */
export type DiagnoseOrder = DiagnoseLogOptions & ({ readonly file: string } | { readonly text: string });

/** The same in a thread. Empty where there is no such file. */
export async function diagnose(order: DiagnoseOrder): Promise<readonly Diagnosis[]> {
  if ('text' in order) return diagnoseLog([Buffer.from(order.text)], order);
  const log = createReadStream(order.file, { highWaterMark: CHUNK_BYTES });
  try {
    return await diagnoseLog(log as AsyncIterable<Buffer>, order);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  } finally {
    log.destroy();
  }
}

/**
 * Why a log's installer failed, best first; empty where nothing did. Takes any bytes: text with any
 * line ends and colours, journals, Nix's JSON, a run's events. Reads in bounded memory. Where its
 * time is up the last diagnosis says so.
 */
export async function diagnoseLog(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { usual, failed, budgetMs = Infinity }: DiagnoseLogOptions = {},
): Promise<readonly Diagnosis[]> {
  const until = performance.now() + budgetMs;
  const parser = createStreamParser();
  const diagnoser = createDiagnoser({
    ...(usual === undefined ? {} : { known: usual }),
    ...(failed === undefined ? {} : { failed }),
  });
  for await (const chunk of chunks) {
    const before = parser.position();
    const unread = feed(diagnoser, parser.push(chunk), lineCounter(chunk, before), until);
    if (unread) {
      const line = before.lines;
      const why = `after ${Math.round(budgetMs / 1000)} s its first ${line} lines were read`;
      return [...diagnoser.finish(), incomplete(why, { line, offset: unread.offset })];
    }
  }
  const lastLine = parser.position().lines;
  feed(diagnoser, parser.end(), () => lastLine, Infinity);
  return diagnoser.finish();
}

/** @returns the first event that was not taken, because the time was up */
function feed(
  diagnoser: Diagnoser,
  events: readonly StreamEvent[],
  lineAt: (offset: number) => number,
  until: number,
): StreamEvent | undefined {
  for (const event of events) {
    if (performance.now() > until) return event;
    if (event.type === 'phase') diagnoser.enter(event.name);
    const text = messageOfEvent(event);
    if (text !== undefined) diagnoser.take(text, event.offset, lineAt);
  }
  return undefined;
}

/** What an event says to a diagnosis; undefined where it says nothing. */
export function messageOfEvent(event: StreamEvent): string | undefined {
  switch (event.type) {
    case 'line':
      // Level 1 of Nix's JSON is a warning, whose text does not always say so.
      return textOf(event.level, event.text);
    case 'error':
    case 'success':
      return event.message;
    case 'warning':
      return `warning: ${event.message}`;
    default:
      return undefined;
  }
}

function textOf(level: number | undefined, text: string): string {
  return level === 1 && !EVENT_LINE.test(text) ? `warning: ${text}` : text;
}

const NEWLINE = 0x0a;

/** Counts a chunk's lines only as far as somebody asks, and no line twice where the offsets ascend. */
function lineCounter(chunk: Uint8Array, before: { readonly bytes: number; readonly lines: number }) {
  let at = 0;
  let { lines } = before;
  return (offset: number): number => {
    const end = offset - before.bytes;
    for (;;) {
      const newline = chunk.indexOf(NEWLINE, at);
      if (newline < 0 || newline >= end) return lines;
      at = newline + 1;
      lines++;
    }
  };
}
