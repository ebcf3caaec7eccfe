import { expect, it } from 'vitest';
import { randomFrom, realisticLog } from '../../../bench/installer-log.js';
import { serializeEvents } from '../../../src/stream/serialize.js';
import { eventsOf } from './reading.js';

const records = (bytes: Buffer): unknown[] =>
  bytes
    .toString('utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

it('is one JSON record a line, in the order of events.ndjson', () => {
  const bytes = serializeEvents(
    [
      { type: 'line', text: 'a', offset: 0 },
      { type: 'phase', name: 'X', offset: 2 },
    ],
    5,
  );
  expect(bytes.toString()).toBe(
    '{"offset":0,"at":5,"type":"line","text":"a"}\n{"offset":2,"at":5,"type":"phase","name":"X"}\n',
  );
});

it('gives back every event', () => {
  const odd = ['"', '\\', '\t', 'ö – 😀', '\u2028', '\ud800', '\x00', '\n', '', '€'.repeat(9000)];
  const events = [
    ...eventsOf([...realisticLog(2000, randomFrom(7))].join('')),
    ...odd.map((text) => ({ type: 'line', text, offset: 1 }) as const),
    { type: 'line', text: 'x', truncatedBytes: 10_000, offset: 2 } as const,
    { type: 'line', text: 'x', level: 3, offset: 3 } as const,
  ];
  const expected = events.map((event) => ({ ...event, at: 9 }));
  expect(records(serializeEvents(events, 9))).toEqual(expected);
});

it('is empty for no events', () => {
  expect(serializeEvents([], 1)).toHaveLength(0);
});
