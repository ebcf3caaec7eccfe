import type { MetricUnit } from '../domain/system.js';

const SECOND_MS = 1000;
const MINUTE_S = 60;
const HOUR_S = 3600;
const DAY_S = 86_400;

/** A duration for people, at most two units: `640 ms`, `4.2 s`, `41 s`, `2 m 31 s`, `1 h 4 m`, `2 d 3 h`. */
export function durationText(ms: number): string {
  if (!Number.isFinite(ms) || ms <= 0) return '0 s';
  if (ms < SECOND_MS) return `${Math.max(1, Math.round(ms))} ms`;
  if (ms < 9950) return `${(ms / SECOND_MS).toFixed(1)} s`;
  const seconds = Math.round(ms / SECOND_MS);
  if (seconds < MINUTE_S) return `${seconds} s`;
  if (seconds < HOUR_S) return `${Math.floor(seconds / MINUTE_S)} m ${seconds % MINUTE_S} s`;
  const minutes = Math.floor(seconds / MINUTE_S);
  if (seconds < DAY_S) return `${Math.floor(minutes / 60)} h ${minutes % 60} m`;
  return `${Math.floor(seconds / DAY_S)} d ${Math.floor((seconds % DAY_S) / HOUR_S)} h`;
}

/** Milliseconds as the seconds of JUnit's `time` attribute. */
export function secondsText(ms: number): string {
  return (Number.isFinite(ms) ? Math.max(0, ms) / SECOND_MS : 0).toFixed(3);
}

/** A size for people: `512 bytes`, `1.4 MiB`. */
export function bytesText(bytes: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  if (bytes < 1024) return plural(bytes, 'byte');
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** A count with its noun: `1 phase`, `12,345 lines`. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${noun}${count === 1 ? '' : 's'}`;
}

export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** A measured value for people, with its unit where it is known. */
export function measureText(value: number, unit: MetricUnit = 'number'): string {
  return MEASURES[unit](value);
}

const MEASURES: Readonly<Record<MetricUnit, (value: number) => string>> = {
  share: (value) => `${valueText(Math.round(value * 1000) / 10)} %`,
  seconds: (value) => durationText(value * SECOND_MS),
  bytes: (value) => bytesText(Math.round(value)),
  'bytes/s': (value) => `${bytesText(Math.round(value))}/s`,
  number: valueText,
};

/** Whatever its size: at most four telling digits. */
function valueText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return countText(value);
  return Math.abs(value) >= 1e9 ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}
