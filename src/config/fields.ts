import path from 'node:path';
import { z } from 'zod';
import { problemOf } from '../diagnosis/pattern.js';
import { describeIssue, expected, unknownKeys } from './messages.js';
import { DURATION, DURATION_EXPECTED, SIZE, SIZE_EXPECTED } from './units.js';

/** A mapping whose keys are all known: an unknown one is refused, with the known one that was meant. */
export function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? unknownKeys(issue.keys, known) : describeIssue(issue)),
  });
}

/** Text of a pattern. `what` completes “expected …”. */
export function patterned(what: string, pattern: RegExp) {
  const error = expected(what, { pattern });
  return z.string({ error }).regex(pattern, { error });
}

/** Any text but the empty one. */
export function text(what: string) {
  const error = expected(what);
  return z.string({ error }).min(1, { error });
}

export const duration = patterned(DURATION_EXPECTED, DURATION);
export const size = patterned(SIZE_EXPECTED, SIZE);

export function wholeNumber(least: number, most: number, unit = '') {
  const error = expected(`a whole number${unit && ` of ${unit}`} from ${least} to ${most}`);
  return z.int({ error }).min(least, { error }).max(most, { error });
}

export function fraction() {
  const error = expected('a number from 0 to 1');
  return z.number({ error }).min(0, { error }).max(1, { error });
}

/** Profile names become names of folders, machines and workflows. */
export const PROFILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,59}$/;
export const profileName = patterned(
  'a profile name (at most 60 letters, digits, dots, dashes and underscores, no dot or dash first)',
  PROFILE_NAME,
);

export const variableName = patterned(
  "an environment variable's name (letters, digits and underscores, no digit first)",
  /^[A-Za-z_][A-Za-z0-9_]*$/,
);

/** systemd.unit(5): the characters of a unit's name. */
export const serviceName = patterned('the name of a service', /^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$/);

const machinePathError = expected('an absolute path of a folder in the machine, without “..”');
export const machinePath = z
  .string({ error: machinePathError })
  .regex(/^\/./, { error: machinePathError })
  .refine((to) => isPlainPath(to) && path.posix.normalize(to) !== '/', { error: machinePathError });

const treePathError = expected('a path within the deployed folder, without “..”');
export const treePath = z
  .string({ error: treePathError })
  .refine((file) => !path.posix.isAbsolute(file) && isPlainPath(file) && !/^(\.?\/?)*$/.test(file), {
    error: treePathError,
  });

function isPlainPath(text: string): boolean {
  return !/[\0\r\n]/.test(text) && !text.split('/').includes('..');
}

export const regularExpression = z
  .string({ error: expected('a regular expression') })
  .refine((source) => problemOf(source) === undefined, {
    error: (issue) => `expected a regular expression, got ${problemOf(String(issue.input)) ?? ''}`,
  });
