import { z } from 'zod';
import { regularExpression, section, serviceName, text, wholeNumber } from './fields.js';

/** The keys of which a check has exactly one, in the order of the union below. */
export const CHECK_KINDS = ['run', 'service', 'units', 'reboot'] as const;

const every = {
  name: text("the check's name")
    .optional()
    .describe('What the check is called in reports. Default: made of its content.'),
  user: text('the name of a user')
    .optional()
    .describe("Who logs in for this check, together with `key`. Default: the bench's own login."),
  key: text('the path of a private key')
    .optional()
    .describe("The private key `user` logs in with; relative to the configuration's folder."),
};

const together = {
  error: 'expected user and key together, got only one of them',
};
const loginIsWhole = (check: { user?: string | undefined; key?: string | undefined }) =>
  (check.user === undefined) === (check.key === undefined);

const runCheck = section({
  run: text('a shell command').describe('A shell command on the installed system; it passes by exit status 0.'),
  expect: z.string().optional().describe('What the command prints, exactly, after trimming.'),
  match: regularExpression.optional().describe('A regular expression that matches what the command prints.'),
  ...every,
})
  .refine((check) => check.expect === undefined || check.match === undefined, {
    error: 'expected one of expect and match, got both',
  })
  .refine(loginIsWhole, together)
  .describe('A command that must succeed.');

const serviceCheck = section({
  service: serviceName.describe('A systemd unit that must be active, with or without `.service`.'),
  ...every,
})
  .refine(loginIsWhole, together)
  .describe('A service that must be active.');

const unitsCheck = section({
  units: z.literal('clean').describe('`clean`: no systemd unit may have failed.'),
  ...every,
})
  .refine(loginIsWhole, together)
  .describe('No systemd unit may have failed.');

const rebootCheck = section({
  reboot: wholeNumber(1, 20).describe('How many reboots in a row the system must survive.'),
  ...every,
})
  .refine(loginIsWhole, together)
  .describe('Reboots the system must survive.');

export const check = z.union([runCheck, serviceCheck, unitsCheck, rebootCheck]);

/** A check as the configuration has it, validated. */
export type CheckConfig = z.output<typeof check>;
