import type { StreamEvent } from '../domain/event.js';

/** What keeps a text from standing in JSON, and in bytes of one each, as it is. */
const ODD = /[^\x20\x21\x23-\x5b\x5d-\x7e]/;

/** Enough for most records; a batch that needs more makes the buffer grow. */
const TYPICAL_RECORD_BYTES = 160;

/**
 * Events as lines of `events.ndjson` in UTF-8: `{offset, at, type, …}`, each with its newline. Several times as fast as
 * `JSON.stringify` for each, because nearly every event is a plain line of ASCII that needs no escaping.
 * @param atMs when the bench read them, milliseconds since the epoch
 */
export function serializeEvents(events: readonly StreamEvent[], atMs: number): Buffer {
  const between = `,"at":${atMs},"type":"line","text":"`;
  let buffer = Buffer.allocUnsafe(events.length * TYPICAL_RECORD_BYTES);
  let used = 0;
  const reserve = (bytes: number): void => {
    if (used + bytes <= buffer.length) return;
    const grown = Buffer.allocUnsafe(2 * (used + bytes));
    buffer.copy(grown, 0, 0, used);
    buffer = grown;
  };
  for (const event of events) {
    if (isBareLine(event) && !ODD.test(event.text)) {
      const record = `{"offset":${event.offset}${between}${event.text}"}\n`;
      reserve(record.length);
      used += buffer.write(record, used, 'latin1');
    } else {
      const record = `${JSON.stringify(Object.assign({ offset: 0, at: atMs }, event))}\n`;
      reserve(3 * record.length);
      used += buffer.write(record, used, 'utf8');
    }
  }
  return buffer.subarray(0, used);
}

function isBareLine(event: StreamEvent): event is Extract<StreamEvent, { type: 'line' }> {
  return event.type === 'line' && event.level === undefined && event.truncatedBytes === undefined;
}
