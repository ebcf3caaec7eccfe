import { z } from 'zod';
import { patterned, section, text, variableName } from './fields.js';

/** Secrets' names appear in messages and reports. */
export const secretName = patterned(
  "a secret's name (at most 60 letters, digits, dots, dashes and underscores, a letter or digit first)",
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$/,
);

/** The keys of which a secret has exactly one. */
const SOURCES = ['env', 'file', 'command'] as const;

/** Where a secret comes from. */
export const secretSource = section({
  env: variableName.optional().describe("A variable of the worker's environment."),
  file: text('the path of a file')
    .optional()
    .describe(
      "A file on the worker's host, relative to the configuration's folder; `~/` is the home folder of the worker's user.",
    ),
  command: z
    .array(text('a program or an argument'))
    .min(1)
    .optional()
    .describe("A command of the worker's host that prints it, as a list: program and arguments. No shell is used."),
}).refine((source) => SOURCES.filter((key) => source[key] !== undefined).length === 1, {
  error: 'expected exactly one of env, file and command',
});

/** A secret where text may stand as well. */
export const secretReference = section({
  secret: secretName.describe('The name of a secret of `secrets:`.'),
});

/** A file of the installed system. */
export const installedFile = section({
  secret: secretName.optional().describe('The name of the secret that it holds.'),
  from: text('the path of a file')
    .optional()
    .describe("The file on the worker's host that is copied, relative to the configuration's folder."),
  to: patterned(
    'an absolute path of a file in the installed system, without “..”',
    /^\/(?!.*(?:^|\/)\.\.(?:\/|$)).*[^/\s]$/,
  ).describe('Where it is put in the installed system.'),
  mode: patterned("a file's mode in octal, in quotes, such as '0400'", /^0?[0-7]{3}$/)
    .default('0400')
    .describe('Its permissions; its owner is root.'),
}).refine(({ secret, from }) => (secret === undefined) !== (from === undefined), {
  error: 'expected exactly one of secret and from',
});

/** A secret's source as the configuration has it, validated. */
export type SecretSourceConfig = z.output<typeof secretSource>;
