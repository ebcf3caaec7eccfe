import type { z } from 'zod';
import { CHECK_KINDS } from './check-schema.js';
import { describeIssue, show } from './messages.js';
import { didYouMean, listed, suggest } from './suggest.js';

export type ConfigPath = readonly (string | number)[];

/** One thing wrong with a configuration. */
export interface Problem {
  readonly path: ConfigPath;
  /** Whether the key itself is wrong or what stands there. */
  readonly at: 'key' | 'value';
  /** What is wrong and what was expected. */
  readonly message: string;
}

export type Validation<T> =
  { readonly valid: true; readonly value: T } | { readonly valid: false; readonly problems: readonly Problem[] };

/** Holds any value against a schema and tells everything that is wrong with it. */
export function validate<S extends z.ZodType>(schema: S, input: unknown): Validation<z.output<S>> {
  const result = schema.safeParse(input, { error: describeIssue, reportInput: true });
  if (result.success) return { valid: true, value: result.data };
  return { valid: false, problems: withoutMisspelt(result.error.issues.flatMap((issue) => problemsOf(issue, []))) };
}

/** `profiles.vm.machine.disks[0]`; a key that is no plain word stands in brackets. */
export function formatPath(path: ConfigPath): string {
  const steps = path.map((step) => {
    if (typeof step === 'number') return `[${step}]`;
    return /^[A-Za-z_$][\w$-]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return steps.join('').replace(/^\./, '');
}

function problemsOf(issue: z.core.$ZodIssue, above: ConfigPath): Problem[] {
  const path = [...above, ...issue.path.map((step) => (typeof step === 'number' ? step : String(step)))];
  const last = path.at(-1);
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, index) => ({
      path: [...path, key],
      at: 'key',
      message: messages[index] ?? issue.message,
    }));
  }
  if (issue.code === 'invalid_union' && issue.discriminator === undefined) {
    if (path.length === 3 && path[0] === 'profiles' && path[2] === 'network') return problemsOfNetwork(issue, path);
    if (path.at(-2) === 'checks') return problemsOfCheck(issue, path);
    // Of text or a mapping, a mapping was meant.
    if (isMapping(issue.input)) return (issue.errors.at(-1) ?? []).flatMap((inner) => problemsOf(inner, path));
  }
  if (issue.input === undefined && typeof last === 'string') return [missing(path.slice(0, -1), last)];
  const message = path[0] === 'secrets' ? withoutValue(issue.message) : issue.message;
  return [{ path, at: issue.code === 'invalid_key' ? 'key' : 'value', message }];
}

/** What was written in the place of a secret's source may be the secret. */
function withoutValue(message: string): string {
  return message.replace(/, got .*$/s, '; secrets are not written here, and what was is not shown');
}

function isMapping(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const missing = (path: ConfigPath, key: string): Problem => ({
  path,
  at: 'key',
  message: `missing key ${JSON.stringify(key)}`,
});

/** Explains a wrong `network`: of a mapping what is wrong with its ports, else what was expected. */
function problemsOfNetwork(issue: z.core.$ZodIssueInvalidUnion, path: ConfigPath): Problem[] {
  const { input } = issue;
  if (isMapping(input)) return (issue.errors[1] ?? []).flatMap((inner) => problemsOf(inner, path));
  return [{ path, at: 'value', message: `expected internet, none or { host: [PORTS] }, got ${show(input)}` }];
}

/** A check's key says which of the union's alternatives was meant; only what is wrong with that one is told. */
function problemsOfCheck(issue: z.core.$ZodIssueInvalidUnion, path: ConfigPath): Problem[] {
  const wanted = listed(CHECK_KINDS);
  const { input } = issue;
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    return [{ path, at: 'value', message: `expected a mapping with one of ${wanted}, got ${show(input)}` }];
  }
  const keys = Object.keys(input);
  const kinds = CHECK_KINDS.filter((kind) => keys.includes(kind));
  const [kind] = kinds;
  if (kind !== undefined && kinds.length === 1) {
    return (issue.errors[CHECK_KINDS.indexOf(kind)] ?? []).flatMap((inner) => problemsOf(inner, path));
  }
  if (kinds.length > 1) {
    return [{ path, at: 'value', message: `expected exactly one of ${wanted}, got ${listed(kinds, 'and')}` }];
  }
  const misspelt = keys.find((key) => suggest(key, CHECK_KINDS));
  if (misspelt === undefined) return [{ path, at: 'value', message: `expected one of ${wanted}, got none` }];
  const message = `unknown key ${JSON.stringify(misspelt)}${didYouMean(misspelt, CHECK_KINDS)}`;
  return [{ path: [...path, misspelt], at: 'key', message }];
}

/** A misspelt key makes two problems, the unknown key and the missing one: the first says it all. */
function withoutMisspelt(problems: readonly Problem[]): Problem[] {
  return problems.filter((problem) => {
    const key = /^missing key "(.*)"$/.exec(problem.message)?.[1];
    if (key === undefined) return true;
    return !problems.some(
      (other) =>
        other.message.startsWith('unknown key') &&
        formatPath(other.path.slice(0, -1)) === formatPath(problem.path) &&
        suggest(String(other.path.at(-1)), [key]) !== undefined,
    );
  });
}
