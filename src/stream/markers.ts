import type { EventBody } from '../domain/event.js';
import { boundedName } from './text.js';

/** How much of a progress marker's details is kept, UTF-16 units. */
const DETAILS_LIMIT = 500;

const MARKER = /^::([A-Z]+)::(.*)$/s;
const PAIR = /^(.*?)::(.*)$/s;
const NUMBER = /^[+-]?(?:\d{1,300}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?$/;
const PERCENT = /(?:^|[^\w.])(\d{1,15}(?:\.\d{1,15})?)\s?%/;
const RATIO = /(?:^|[\s([])(\d{1,15}(?:\.\d{1,15})?)\s?(?:\/|of)\s?(\d{1,15}(?:\.\d{1,15})?)(?=$|[\s)\],;:])/;

type Reader = (rest: string) => EventBody | undefined;

const message =
  (type: 'success' | 'warning' | 'error' | 'context'): Reader =>
  (rest) => ({ type, message: rest.trim() });

/** The markers of the stream's protocol. A reader answers undefined where what follows is not of its form. */
const READERS: Readonly<Record<string, Reader>> = {
  PHASE: readPhase,
  SUCCESS: message('success'),
  WARNING: message('warning'),
  ERROR: message('error'),
  CONTEXT: message('context'),
  PROGRESS: readProgress,
  METRIC: readMetric,
};

/**
 * What a marker line says; undefined where the line is none: other text in front, an unknown marker, an empty name, a value
 * that is no number. Blanks around the marker are allowed.
 * @param text the visible text of a line
 */
export function readMarker(text: string): EventBody | undefined {
  const [, name = '', rest = ''] = MARKER.exec(text.trim()) ?? [];
  return Object.hasOwn(READERS, name) ? READERS[name]?.(rest) : undefined;
}

/**
 * How far along a progress text says it is, 0 to 1: `45%`, `45.5 %`, `3/10`, `3 of 10`. A percentage wins over a ratio; what
 * lies beyond the ends is set to them.
 */
export function fractionOf(details: string): number | undefined {
  const [, percent] = PERCENT.exec(details) ?? [];
  if (percent !== undefined) return clamp(Number(percent) / 100);
  const [, done, total] = RATIO.exec(details) ?? [];
  return done === undefined || Number(total) === 0 ? undefined : clamp(Number(done) / Number(total));
}

function readPhase(rest: string): EventBody | undefined {
  const name = boundedName(rest);
  return name === '' ? undefined : { type: 'phase', name };
}

function readProgress(rest: string): EventBody | undefined {
  const [, first = rest, second = ''] = PAIR.exec(rest) ?? [];
  const stage = boundedName(first);
  if (stage === '') return undefined;
  const details = boundedName(second, DETAILS_LIMIT);
  const fraction = fractionOf(details);
  return { type: 'progress', stage, details, ...(fraction === undefined ? {} : { fraction }) };
}

function readMetric(rest: string): EventBody | undefined {
  const [, first = '', second = ''] = PAIR.exec(rest) ?? [];
  const name = boundedName(first);
  const digits = second.trim();
  const value = NUMBER.test(digits) ? Number(digits) : NaN;
  return name === '' || !Number.isFinite(value) ? undefined : { type: 'metric', name, value };
}

function clamp(fraction: number): number {
  return Math.min(1, Math.max(0, fraction));
}
