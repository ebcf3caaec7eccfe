import { z } from 'zod';
import type { AnywherePhase } from '../domain/profile.js';
import { text } from './fields.js';
import { expectedOneOf } from './messages.js';

const PHASES: readonly AnywherePhase[] = ['kexec', 'disko', 'install'];

/** What the bench tells nixos-anywhere itself, does itself afterwards, or cannot use. */
const OWN_ARGUMENTS: ReadonlySet<string> = new Set([
  ...['-f', '--flake', '-s', '--store-paths', '--target-host', '-i', '-p', '--ssh-port', '--post-kexec-ssh-port'],
  ...['--phases', '--no-reboot', '--stop-after-disko', '--vm-test', '--env-password'],
]);

const phase = z.enum(PHASES, {
  error: ({ input }) =>
    input === 'reboot'
      ? 'expected no "reboot": `reboot: true` restarts the machine from its installed disk'
      : expectedOneOf(PHASES, input),
});

const argument = text('an argument').refine((word) => !OWN_ARGUMENTS.has(word), {
  error: ({ input }) => `expected none of the options that nixproof gives itself, got ${JSON.stringify(input)}`,
});

export const anywherePhases = z
  .array(phase)
  .min(1)
  .default([...PHASES])
  .describe('Its phases; `reboot` is none of them: nixproof restarts the machine.');

export const anywhereArguments = z.array(argument).default([]).describe('More arguments of nixos-anywhere.');
