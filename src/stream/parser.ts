import type { EventBody, StreamEvent } from '../domain/event.js';
import { readPlainLine, readRawLine } from './line.js';
import { nixActivities, type NixState } from './nix-activities.js';
import { pendingLine, visibleSegment } from './pending-line.js';
import { windowScanner } from './window.js';
import { decodeUtf8, TEXT_LIMIT_BYTES, visibleText } from './text.js';

/**
 * All that a parser needs to go on from a line's beginning. Plain JSON, some hundred bytes as a rule; a hostile log can bring
 * it to some hundred kilobytes (bounded numbers of open Nix activities, bounded names).
 */
export interface ParserState {
  readonly version: 1;
  /**
   * Byte offset of the first byte that is not in an event yet: the beginning of the line that was unfinished. A parser made
   * from this state must be fed the log **from here**, which may lie before the last byte pushed.
   */
  readonly resumeOffset: number;
  /** Lines before `resumeOffset`. */
  readonly lines: number;
  readonly nix: NixState;
}

/** How much was read. */
interface StreamPosition {
  /** Bytes of the log, from its first one to the last one pushed. */
  readonly bytes: number;
  /** Lines ended by a newline, and the last one without after `end()`. */
  readonly lines: number;
}

/** Bytes of an installer's log → events, whatever the bytes are and however they are split. */
export interface StreamParser {
  /**
   * Takes the log's next bytes, any number, and gives the events of the lines that they complete: at most one a line, in
   * order. The bytes may be reused afterwards. Texts are slices of a decoded window of 64 KiB, which lives as long as they do.
   */
  push(chunk: Uint8Array): StreamEvent[];
  /** The event of a last line without newline, where there is one. Nothing may be pushed afterwards. */
  end(): StreamEvent[];
  /**
   * What a new parser needs to go on. It speaks of the last line's boundary, so that an unfinished line of 10 MB is not in it:
   * feed the new parser from `resumeOffset`. The events given so far, followed by the new parser's, are exactly those of one
   * parser over the whole log.
   */
  snapshot(): ParserState;
  position(): StreamPosition;
  /** What a terminal would show of the unfinished line now, such as a progress bar's last state; '' where there is none. */
  currentLine(): string;
}

/** Decoded at once; bounds what a kept text holds on to. A multiple of four. */
const WINDOW_BYTES = 64 * 1024;

const NEWLINE = 0x0a;
const COLON = 0x3a;
const AT = 0x40;

/**
 * A parser at the beginning of a log, or where a snapshot left off.
 * @param from a `snapshot()` of a parser of the same log, also from another process; feed the bytes from its `resumeOffset`
 */
export function createStreamParser(from?: ParserState): StreamParser {
  const nix = nixActivities(from?.nix);
  const pending = pendingLine();
  const scan = windowScanner(WINDOW_BYTES);
  let lineOffset = from?.resumeOffset ?? 0;
  let lines = from?.lines ?? 0;

  const emit = (events: StreamEvent[], body: EventBody | undefined) => {
    if (body !== undefined) events.push(located(body, lineOffset));
  };

  /** Ends the pending line at the window's first newline; answers where the next line begins, or -1 without a newline. */
  const finishPending = (events: StreamEvent[], window: Uint8Array): number => {
    const newline = window.indexOf(NEWLINE);
    pending.append(newline < 0 ? window : window.subarray(0, newline));
    if (newline < 0) return -1;
    endPending(events);
    lineOffset++;
    return newline + 1;
  };

  const endPending = (events: StreamEvent[]): void => {
    const segment = pending.kept();
    const lineBytes = pending.lineBytes();
    emit(events, readRawLine({ segment, segmentBytes: pending.segmentBytes(), lineBytes }, nix));
    lines++;
    lineOffset += lineBytes;
    pending.clear();
  };

  const pushWindow = (events: StreamEvent[], window: Uint8Array): void => {
    let start = pending.lineBytes() > 0 ? finishPending(events, window) : 0;
    if (start < 0) return;
    const base = lineOffset - start;
    const { bytes, text, marks, markCount } = scan(window);
    let plain = true;
    for (let index = 0; index < markCount; index++) {
      const at = marks[index] as number;
      if (at < start) continue;
      if (bytes[at] !== NEWLINE) {
        plain = false;
        continue;
      }
      if (plain && at - start <= TEXT_LIMIT_BYTES) {
        const first = bytes[start] as number;
        const line = text.slice(start, at);
        if (first > 0x20 && first !== COLON && first !== AT)
          events.push({ type: 'line', text: line, offset: lineOffset });
        else emit(events, readPlainLine(line, nix));
      } else {
        const segment = visibleSegment(bytes.subarray(start, at));
        emit(events, readRawLine({ segment, segmentBytes: segment.length, lineBytes: at - start }, nix));
      }
      lines++;
      start = at + 1;
      lineOffset = base + start;
      plain = true;
    }
    pending.append(bytes.subarray(start, window.length));
  };

  return {
    push(chunk) {
      const events: StreamEvent[] = [];
      for (let at = 0; at < chunk.length; at += WINDOW_BYTES) pushWindow(events, chunk.subarray(at, at + WINDOW_BYTES));
      return events;
    },
    end() {
      const events: StreamEvent[] = [];
      if (pending.lineBytes() > 0) endPending(events);
      return events;
    },
    snapshot: () => ({ version: 1, resumeOffset: lineOffset, lines, nix: nix.state() }),
    position: () => ({ bytes: lineOffset + pending.lineBytes(), lines }),
    currentLine: () => visibleText(decodeUtf8(pending.kept(), TEXT_LIMIT_BYTES)),
  };
}

/** The event of a body that nobody else holds: adding to it is several times as fast as copying it. */
function located(body: EventBody, offset: number): StreamEvent {
  const event = body as EventBody & { offset: number };
  event.offset = offset;
  return event;
}
