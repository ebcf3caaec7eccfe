import { InvalidArgumentError } from 'commander';
import { expectedOneOf } from '../config/messages.js';
import { DURATION_EXPECTED, parseDuration, parseSize, SIZE_EXPECTED } from '../config/units.js';
import { DRIVER_NAMES, type DriverName } from '../domain/profile.js';

/** Parsers of option values; what they refuse is a usage error that names the option. */
export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw new InvalidArgumentError(`expected ${DURATION_EXPECTED}`);
  return ms;
}

export function sizeInBytes(text: string): number {
  const bytes = parseSize(text);
  if (bytes === undefined) throw new InvalidArgumentError(`expected ${SIZE_EXPECTED}`);
  return bytes;
}

export function wholeNumber(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value)) throw new InvalidArgumentError('expected a whole number');
  return value;
}

export function numberFrom(least: number) {
  return (text: string): number => {
    const value = wholeNumber(text);
    if (value < least) throw new InvalidArgumentError(`expected a number from ${least} up`);
    return value;
  };
}

export function parallelism(text: string): 'auto' | number {
  if (text === 'auto') return 'auto';
  const value = wholeNumber(text);
  if (value < 1) throw new InvalidArgumentError('expected a number from 1 up, or auto');
  return value;
}

export function list(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** Drivers, separated by commas. */
export function drivers(text: string): readonly DriverName[] {
  return list(text).map((name) => {
    const known = DRIVER_NAMES.find((driver) => driver === name);
    if (known === undefined) throw new InvalidArgumentError(expectedOneOf(DRIVER_NAMES, name));
    return known;
  });
}

/** Collects an option that may be given again and again. */
export function repeated(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value.trim()];
}
