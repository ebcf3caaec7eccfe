import type { EventBody } from '../domain/event.js';
import { readMarker } from './markers.js';
import type { NixActivities } from './nix-activities.js';
import { NIX_PREFIX, readNixMessage } from './nix-message.js';
import { decodeUtf8, TEXT_LIMIT_BYTES, visibleText } from './text.js';

const COLON = 0x3a;

/** A line as bytes, reduced to what a terminal would show of it. */
export interface RawLine {
  /** The visible segment, or its beginning. */
  readonly segment: Uint8Array;
  /** The visible segment's length, bytes; more than `segment` has where that is only the beginning. */
  readonly segmentBytes: number;
  /** The whole line's length without its newline, bytes. */
  readonly lineBytes: number;
}

/** What any line means: the way that holds for every byte. Undefined where a Nix message says nothing new. */
export function readRawLine(line: RawLine, nix: NixActivities): EventBody | undefined {
  const { segment, segmentBytes, lineBytes } = line;
  if (beginsNixMessage(segment) && segmentBytes === segment.length) {
    const message = readNixMessage(decodeUtf8(segment));
    if (message !== undefined) return nix.take(message);
  }
  const text = visibleText(decodeUtf8(segment, TEXT_LIMIT_BYTES));
  const marker = readMarkerOf(text);
  if (marker !== undefined) return marker;
  return segmentBytes > TEXT_LIMIT_BYTES ? { type: 'line', text, truncatedBytes: lineBytes } : { type: 'line', text };
}

/**
 * What a short line of printable ASCII means: no decoding and no cleaning is needed.
 * @param text at most TEXT_LIMIT_BYTES characters
 */
export function readPlainLine(text: string, nix: NixActivities): EventBody | undefined {
  const message = text.startsWith(NIX_PREFIX) ? readNixMessage(text) : undefined;
  if (message !== undefined) return nix.take(message);
  return readMarkerOf(text) ?? { type: 'line', text };
}

function readMarkerOf(text: string): EventBody | undefined {
  const first = text.charCodeAt(0);
  return first === COLON || first <= 0x20 ? readMarker(text) : undefined;
}

function beginsNixMessage(bytes: Uint8Array): boolean {
  for (let at = 0; at < NIX_PREFIX.length; at++) if (bytes[at] !== NIX_PREFIX.charCodeAt(at)) return false;
  return true;
}
