import type { Diagnosis } from '../domain/diagnosis.js';
import type { StreamEvent } from '../domain/event.js';
import { createDiagnoser, type Diagnoser } from '../healing/diagnose.js';
import type { TemplatesState } from '../healing/templates.js';
import { createStreamParser } from '../stream/parser.js';

/** Whether a log is a run's events.ndjson: each line tells an event of ours. */
const EVENT_LINE = /^\{"offset":\d+,"at":\d+,"type":"/;

export interface DiagnoseLogOptions {
  /** Templates of lines that the same installer prints when it succeeds. */
  readonly usual?: TemplatesState;
  /** Whether what printed the log is known to have failed, whatever the log says. */
  readonly failed?: boolean;
}

/**
 * Why a log's installer failed, best first; empty where nothing did. Takes any bytes: text with any line ends and colours,
 * journals, Nix's JSON, a run's events. Reads in bounded memory.
 */
export async function diagnoseLog(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  { usual, failed }: DiagnoseLogOptions = {},
): Promise<readonly Diagnosis[]> {
  const parser = createStreamParser();
  const diagnoser = createDiagnoser({
    ...(usual === undefined ? {} : { known: usual }),
    ...(failed === undefined ? {} : { failed }),
  });
  for await (const chunk of chunks) {
    const before = parser.position();
    feed(diagnoser, parser.push(chunk), lineCounter(chunk, before));
  }
  const lastLine = parser.position().lines;
  feed(diagnoser, parser.end(), () => lastLine);
  return diagnoser.finish();
}

function feed(diagnoser: Diagnoser, events: readonly StreamEvent[], lineAt: (offset: number) => number): void {
  for (const event of events) {
    if (event.type === 'phase') diagnoser.enter(event.name);
    const text = messageOfEvent(event);
    if (text !== undefined) diagnoser.take(text, event.offset, lineAt);
  }
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
