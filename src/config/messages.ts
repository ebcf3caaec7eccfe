import type { z } from 'zod';
import { didYouMean, listed } from './suggest.js';

type RawIssue = z.core.$ZodRawIssue;

/** What a type is called in front of people, whatever the file's format. */
const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

/** A value as it was found, short and on one line. */
export function show(value: unknown): string {
  if (value === undefined || value === null) return 'nothing';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object') return Object.keys(value).length === 0 ? 'an empty mapping' : 'a mapping';
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : `a ${typeof value}`;
}

/** YAML reads `expect: 1` as a number: quotes make it the text that was meant. */
function got({ code, input, ...issue }: RawIssue, pattern = /^/): string {
  const unquoted = code === 'invalid_type' && issue.expected === 'string' && isUnquoted(input);
  return `got ${show(input)}${unquoted && pattern.test(String(input)) ? '; put it in quotes' : ''}`;
}

function isUnquoted(input: unknown): input is number | boolean {
  return typeof input === 'number' || typeof input === 'boolean';
}

/** The message of a field for whatever is wrong with it: `expected a size such as 20G, got "20"`. */
export function expected(what: string, { known = [], pattern }: { known?: readonly string[]; pattern?: RegExp } = {}) {
  return (issue: RawIssue): string =>
    `expected ${what}, ${got(issue, pattern)}${typeof issue.input === 'string' ? didYouMean(issue.input, known) : ''}`;
}

/** The message for a value that is none of the allowed ones. */
export function expectedOneOf(known: readonly string[], value: unknown): string {
  const guess = typeof value === 'string' ? didYouMean(value, known) : '';
  return `expected ${listed(known.map((word) => JSON.stringify(word)))}, got ${show(value)}${guess}`;
}

/** The same of a list too long to be told. */
export function expectedOneLike(what: string, value: unknown, known: readonly string[]): string {
  const guess = typeof value === 'string' ? didYouMean(value, known) : '';
  return `expected ${what}, got ${show(value)}${guess}`;
}

/** One line a key: the loader takes them apart to point at each. */
export function unknownKeys(keys: readonly string[], known: readonly string[]): string {
  return keys
    .map((key) => `unknown key ${JSON.stringify(key)}${didYouMean(key, known) || `, expected ${listed(known)}`}`)
    .join('\n');
}

function bound(issue: RawIssue & { readonly code: 'too_small' | 'too_big' }): string {
  const [word, limit] = issue.code === 'too_small' ? ['at least', issue.minimum] : ['at most', issue.maximum];
  if (issue.origin === 'array') return `expected ${word} ${limit} in the list, got ${show(issue.input)}`;
  if (issue.origin === 'string') return `expected ${word} ${limit} characters, got ${show(issue.input)}`;
  return `expected ${word} ${limit}, got ${show(issue.input)}`;
}

/** What is said of issues whose field says nothing of its own. */
export const describeIssue: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${TYPE_NAMES[issue.expected] ?? issue.expected}, ${got(issue)}`;
    case 'invalid_value':
      return expectedOneOf(issue.values.map(String), issue.input);
    case 'too_small':
    case 'too_big':
      return bound(issue);
    case 'invalid_key':
      return issue.issues[0]?.message;
    default:
      return undefined;
  }
};
