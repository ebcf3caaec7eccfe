import { InvalidArgumentError } from 'commander';
import { expectedOneOf } from '../config/messages.js';
import { DURATION_EXPECTED, parseDuration, parseSize, SIZE_EXPECTED } from '../config/units.js';
import { NixproofError } from '../domain/error.js';
import { parseName, type Named } from '../domain/names.js';
import { DRIVER_NAMES, type DriverName, type HealingPolicy } from '../domain/profile.js';
import type { ProfileChoice } from '../domain/schedule.js';

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
  const items = text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
  if (items.length === 0) throw new InvalidArgumentError('expected a name, or several separated by commas');
  return items;
}

/** An argument that names something of ours. What could be a path never gets past it. */
export function nameOf(what: Named) {
  return (text: string): string => {
    try {
      return parseName(text, what);
    } catch (error) {
      if (!(error instanceof NixproofError)) throw error;
      throw new InvalidArgumentError(`${error.message}: ${error.hint ?? ''}`);
    }
  };
}

/** The same for several, given one after the other. */
export function namesOf(what: Named) {
  const parse = nameOf(what);
  return (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), parse(text)];
}

/** Drivers, separated by commas. */
export function drivers(text: string): readonly DriverName[] {
  return list(text).map((name) => {
    const known = DRIVER_NAMES.find((driver) => driver === name);
    if (known === undefined) throw new InvalidArgumentError(expectedOneOf(DRIVER_NAMES, name));
    return known;
  });
}

/** Collects an option that may be given again and again. @param what its value is, for who gives an empty one */
export function repeatable(what: string) {
  return (value: string, before: readonly string[] | undefined): readonly string[] => {
    if (value.trim() === '') throw new InvalidArgumentError(`expected ${what}`);
    return [...(before ?? []), value.trim()];
  };
}

/** What options say of every profile. */
export interface ChoiceOptions {
  readonly driver?: readonly DriverName[];
  readonly base?: readonly string[];
  readonly maxHeals?: number;
  readonly untrusted?: boolean;
}

/** Which profiles are tested, and how, as options say it. @param heal `--heal`, or what `--no-heal` means */
export function choiceOf(
  profiles: readonly string[],
  { driver, base, maxHeals, untrusted }: ChoiceOptions,
  heal: HealingPolicy['policy'] | undefined,
): ProfileChoice {
  return {
    profiles,
    ...(driver === undefined ? {} : { drivers: driver }),
    ...(base === undefined ? {} : { bases: base }),
    ...(heal === undefined ? {} : { heal }),
    ...(maxHeals === undefined ? {} : { maxHeals }),
    ...(untrusted === true ? { untrusted } : {}),
  };
}
