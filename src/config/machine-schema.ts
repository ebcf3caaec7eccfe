import { z } from 'zod';
import { duration, patterned, section, text, wholeNumber } from './fields.js';

/** Machine names appear in messages, in reports and in the environment of commands. */
export const machineName = patterned(
  'a machine name (at most 60 letters, digits, dots, dashes and underscores, no dot or dash first)',
  /^[A-Za-z0-9_][A-Za-z0-9._-]{0,59}$/,
);

const command = (what: string) => text('a shell command').optional().describe(what);

/** A machine that exists already, for `driver: ssh`. */
export const existingMachine = section({
  address: patterned('a host name or an IP address', /^(?!-)[A-Za-z0-9._:%-]{1,253}$/).describe(
    'Its host name or IP address.',
  ),
  port: wholeNumber(1, 65_535).default(22).describe('Where its SSH server listens.'),
  user: patterned('the name of a user', /^[A-Za-z_][A-Za-z0-9._-]{0,31}$/)
    .default('root')
    .describe('Who logs in; whoever it is must be able to do what the installer does.'),
  key: text('the path of a private key').describe(
    "The private key that logs in, without a passphrase; relative to the configuration's folder, `~/` is the home folder.",
  ),
  hostKey: patterned('an ed25519 host key such as "ssh-ed25519 AAAA…"', /^ssh-ed25519 [A-Za-z0-9+/]{60,}={0,2}( .*)?$/)
    .optional()
    .describe("The pristine system's host key. Default: the first one seen is pinned and kept in the home."),
  hostKeyChangesOnReset: z
    .boolean()
    .default(false)
    .describe('Whether a reset gives it a new host key, which is then pinned for one run only.'),
  disks: z
    .array(patterned('an absolute path of a disk in the machine', /^\/[^\s\0]+$/))
    .min(1)
    .max(16)
    .describe('Its target disks as the live system names them, in order; the first is $NIXPROOF_DISK.'),
  reset: command(
    'A shell command of this host that makes it pristine. Without one it is used as the last run left it.',
  ),
  start: command('A shell command of this host that switches it on.'),
  stop: command('A shell command of this host that switches it off.'),
  ready: command('A shell command of this host that exits 0 once the machine is ready; default: it answers SSH.'),
  commandTimeout: duration.default('15m').describe('How long one of these commands may take.'),
  bootTimeout: duration.default('10m').describe('How long it may take until it answers SSH.'),
})
  .refine(({ hostKeyChangesOnReset, reset }) => !hostKeyChangesOnReset || reset !== undefined, {
    error: 'expected a reset command together with hostKeyChangesOnReset',
  })
  .refine(({ hostKeyChangesOnReset, hostKey }) => !hostKeyChangesOnReset || hostKey === undefined, {
    error: 'expected one of hostKey and hostKeyChangesOnReset, got both',
  });

/** An existing machine as the configuration has it, validated. */
export type ExistingMachineConfig = z.output<typeof existingMachine>;
