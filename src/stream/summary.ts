import type { PhaseStart, QuotedLine } from '../domain/attempt.js';
import type { StreamEvent } from '../domain/event.js';

/** What is kept of a stream in memory, bounded however long it is and whatever it holds. Plain JSON. */
export interface StreamSummary {
  readonly phases: readonly PhaseStart[];
  /** How many there were, also beyond those that are kept. */
  readonly phaseCount: number;
  readonly errors: readonly QuotedLine[];
  readonly tail: readonly QuotedLine[];
  /** The latest progress: `copy 3/10`. */
  readonly progress: string;
}

export const emptySummary: StreamSummary = { phases: [], phaseCount: 0, errors: [], tail: [], progress: '' };

const LIMITS = { phases: 200, errors: 20, tail: 20, quoteChars: 500 } as const;

/** Folds events into a summary; takes time in proportion to the events and makes one new object a call. */
export function summarize(summary: StreamSummary, events: readonly StreamEvent[], at: number): StreamSummary {
  if (events.length === 0) return summary;
  const phases = [...summary.phases];
  const errors = [...summary.errors];
  let { progress, phaseCount } = summary;
  for (const event of events) {
    if (event.type === 'phase') {
      phaseCount += 1;
      keep(phases, LIMITS.phases, { name: event.name, at });
    } else if (event.type === 'error') keep(errors, LIMITS.errors, quoted(event.message, event.offset));
    else if (event.type === 'progress') progress = `${event.stage} ${event.details}`.slice(0, LIMITS.quoteChars);
  }
  const told = events.slice(-LIMITS.tail * 4).flatMap((event) => {
    const text = textOf(event);
    return text === '' ? [] : [quoted(text, event.offset)];
  });
  return { phases, phaseCount, errors, tail: [...summary.tail, ...told].slice(-LIMITS.tail), progress };
}

function keep<T>(list: T[], limit: number, item: T): void {
  if (list.length < limit) list.push(item);
}

function quoted(text: string, offset: number): QuotedLine {
  return { text: text.slice(0, LIMITS.quoteChars), offset };
}

function textOf(event: StreamEvent): string {
  if (event.type === 'line') return event.text.trim();
  return event.type === 'error' || event.type === 'warning' || event.type === 'success' ? event.message : '';
}
