import { CONSOLE_HEAD_BYTES } from '../domain/console.js';

/** A line of a serial console. */
export interface TimedLine {
  /** When it was there at the latest, milliseconds since the epoch, to the second; undefined where nobody noted it. */
  readonly at: number | undefined;
  /** Guest text: hostile. */
  readonly text: string;
}

interface Note {
  readonly offset: number;
  readonly at: number;
}

/** A console's bytes as lines, with the times of console-times.ndjson: what stands before a note's offset was there at its time. */
export function* timedLines(bytes: Buffer, ndjson: string): Generator<TimedLine> {
  const notes = ofThisConsole(ndjson.split('\n').flatMap(noteOf));
  let next = 0;
  for (let start = 0; start < bytes.length;) {
    const found = bytes.indexOf(0x0a, start);
    const end = found < 0 ? bytes.length : found + 1;
    while (next < notes.length && (notes[next]?.offset ?? 0) < end) next++;
    yield { at: notes[next]?.at, text: bytes.toString('utf8', start, found < 0 ? end : found).replace(/\r+$/, '') };
    start = end;
  }
}

/**
 * Leaves out the notes about bytes that are no longer there. Where an offset is less than the one
 * before it the log was cut behind its head, or another one was begun.
 */
function ofThisConsole(notes: readonly Note[]): readonly Note[] {
  let kept: Note[] = [];
  for (const note of notes) {
    if (note.offset < (kept.at(-1)?.offset ?? 0)) {
      const head = note.offset > CONSOLE_HEAD_BYTES ? CONSOLE_HEAD_BYTES : 0;
      kept = kept.filter(({ offset }) => offset <= head);
    }
    kept.push(note);
  }
  return kept;
}

/** The last line may be half written. */
function noteOf(line: string): readonly Note[] {
  try {
    const { offset, at } = JSON.parse(line) as Partial<Note>;
    return typeof offset === 'number' && typeof at === 'number' ? [{ offset, at }] : [];
  } catch {
    return [];
  }
}
