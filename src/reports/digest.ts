import type { EventBody, RecordedEvent } from '../domain/event.js';
import { clip } from './escape.js';
import { countText } from './quantities.js';

type RowKind = EventBody['type'];

/** UTF-16 units kept of an event's text. */
const ROW_LIMIT = 2000;

/** One event as a report shows it. */
export interface LogRow {
  /** Its place in the attempt's stream, from 0. */
  readonly index: number;
  readonly at: number;
  readonly offset: number;
  readonly kind: RowKind;
  readonly text: string;
}

/** How many rows of an attempt's stream are kept, by what makes them worth keeping. */
export interface DigestLimits {
  readonly head: number;
  readonly tail: number;
  readonly phases: number;
  /** Errors, warnings, successes, contexts, and lines that read like errors: the first half and the last half of this. */
  readonly notable: number;
  /** Rows before and after the failure's. */
  readonly before: number;
  readonly after: number;
}

export interface LogDigest {
  readonly total: number;
  readonly rows: readonly LogRow[];
  /** Around the failure, the failing row among them; empty where no failure was asked for. */
  readonly around: readonly LogRow[];
}

/** Lines that deserve keeping in a report though nothing marks them. Only decides what is left out, never a verdict. */
const ALARMING =
  /\b(?:error|fail(?:ed|ure)?|fatal|panic|cannot|denied|no space|timed out|not found|unable|oom|killed)\b/i;

/**
 * Reads an attempt's events once, in memory bounded by the limits however many there are, and keeps what is worth showing.
 * @param failureOffset byte offset of the failing line; the rows around it are kept too
 */
export async function digestEvents(
  events: AsyncIterable<Iterable<RecordedEvent>>,
  limits: DigestLimits,
  failureOffset?: number,
): Promise<LogDigest> {
  const kept = [
    ends(limits.head, limits.tail),
    ends(limits.phases / 2, limits.phases / 2),
    ends(limits.notable / 2, limits.notable / 2),
  ];
  const [all, phases, notable] = kept;
  const before = ends(0, limits.before + 1);
  const after = ends(limits.after, 0);
  let index = 0;
  const take = (event: RecordedEvent) => {
    const row: LogRow = {
      index,
      at: event.at,
      offset: event.offset,
      kind: kindOf(event),
      text: clip(eventText(event), ROW_LIMIT),
    };
    index += 1;
    all?.push(row);
    if (row.kind === 'phase') phases?.push(row);
    else if (isNotable(row)) notable?.push(row);
    if (failureOffset !== undefined) (event.offset <= failureOffset ? before : after).push(row);
  };
  for await (const batch of events) for (const event of batch) take(event);
  const around = [...before.list(), ...after.list()];
  return { total: index, rows: inOrder([...kept.flatMap((part) => part.list()), ...around]), around };
}

/** A row, or how many rows are left out here. */
export type ExcerptItem = { readonly row: LogRow } | { readonly leftOut: number };

/** Rows in order with the gaps between them counted, up to `total` rows in all. */
export function withGaps(rows: readonly LogRow[], total: number): readonly ExcerptItem[] {
  const items: ExcerptItem[] = [];
  let next = 0;
  for (const row of rows) {
    if (row.index > next) items.push({ leftOut: row.index - next });
    items.push({ row });
    next = row.index + 1;
  }
  if (total > next) items.push({ leftOut: total - next });
  return items;
}

export function gapText(leftOut: number): string {
  return `… ${countText(leftOut)} ${leftOut === 1 ? 'line' : 'lines'} left out`;
}

/** What an event says, in words. Guest text: hostile. */
function eventText(event: EventBody): string {
  switch (event.type) {
    case 'phase':
      return event.name;
    case 'progress': {
      const fraction = event.fraction === undefined ? '' : ` (${Math.round(event.fraction * 100)} %)`;
      return `${event.stage}: ${event.details}${fraction}`;
    }
    case 'metric':
      return `${event.name} = ${event.value}`;
    case 'build':
      return `${event.status}: ${event.derivation}`;
    case 'line':
      return event.truncatedBytes === undefined
        ? event.text
        : `${event.text}… (a line of ${countText(event.truncatedBytes)} bytes)`;
    default:
      return event.message;
  }
}

/** Nix's own levels make an error or a warning of a plain line. */
function kindOf(event: EventBody): RowKind {
  if (event.type !== 'line') return event.type;
  if (event.level === 0) return 'error';
  return event.level === 1 ? 'warning' : 'line';
}

function isNotable(row: LogRow): boolean {
  if (row.kind === 'line') return ALARMING.test(row.text.slice(0, 2000));
  return row.kind === 'error' || row.kind === 'warning' || row.kind === 'success' || row.kind === 'context';
}

function inOrder(rows: readonly LogRow[]): readonly LogRow[] {
  return [...new Map(rows.map((row) => [row.index, row])).values()].sort((a, b) => a.index - b.index);
}

/** Keeps the first `head` and the last `tail` of what is pushed. */
function ends(head: number, tail: number): { push(row: LogRow): void; list(): readonly LogRow[] } {
  const first: LogRow[] = [];
  const ring: LogRow[] = [];
  let pushed = 0;
  return {
    push(row) {
      if (first.length < head) first.push(row);
      else if (tail > 0) {
        ring[pushed % tail] = row;
        pushed += 1;
      }
    },
    list: () => [...first, ...(pushed > tail ? [...ring.slice(pushed % tail), ...ring.slice(0, pushed % tail)] : ring)],
  };
}
