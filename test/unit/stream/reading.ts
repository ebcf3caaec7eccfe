import type { StreamEvent } from '../../../src/domain/event.js';
import { createStreamParser } from '../../../src/stream/parser.js';

/** The events of a whole log. */
export function eventsOf(log: string | Uint8Array): StreamEvent[] {
  const parser = createStreamParser();
  return [...parser.push(Buffer.from(log)), ...parser.end()];
}

/** The one event of one line, without its offset. */
export function eventOf(line: string | Uint8Array): Omit<StreamEvent, 'offset'> | undefined {
  const events = eventsOf(Buffer.concat([Buffer.from(line), Buffer.from('\n')]));
  if (events.length > 1) throw new Error(`${events.length} events of one line`);
  if (events[0] === undefined) return undefined;
  const { offset, ...body } = events[0];
  if (offset !== 0) throw new Error(`offset ${offset} of a first line`);
  return body;
}

/** One line of Nix's JSON log. */
export function nix(message: object): string {
  return `@nix ${JSON.stringify(message)}\n`;
}
