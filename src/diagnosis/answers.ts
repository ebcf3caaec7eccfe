import type { FailureClass } from '../domain/diagnosis.js';

/**
 * What a finding is about, as far as a later message of success can answer it. `tried-again`: the
 * message itself said that it is tried again, or does not matter. `build`: the configuration's
 * evaluation and build. `ssh`: an SSH connection.
 */
export type Operation = 'tried-again' | 'build' | 'ssh' | 'other';

/** A message that the whole succeeded. Scripts print it after a step that failed, too. */
const SUCCESS =
  /^installation finished!|^### done!? ###|installation (?:was )?(?:finished|complete)[d!. ]|Job succeeded|Finished: SUCCESS|^done\. the new configuration is|^\[?success\]?:? .{0,40}(?:install|rebuil|deploy|switch)/i;

/** Which messages of success answer an operation. */
const ANSWERS: readonly (readonly [said: RegExp, operation: Operation])[] = [
  [SUCCESS, 'tried-again'],
  // nixos-install and switch-to-configuration build the system first, and stop where that fails.
  [/^installation finished!|^done\. the new configuration is/i, 'build'],
  // nixos-anywhere asks the machine that restarts for an SSH connection again and again, until it
  // answers.
  [/^### done!? ###/i, 'ssh'],
];

const OF_THE_BUILD: ReadonlySet<FailureClass> = new Set(['nix.eval', 'nix.flake', 'nix.build']);

/** @param soft whether the message is only a warning, or says that it is tried again */
export function operationOf(name: FailureClass, text: string, soft: boolean): Operation {
  if (soft) return 'tried-again';
  if (OF_THE_BUILD.has(name)) return 'build';
  return name === 'ssh.connection' || text.startsWith('ssh: ') ? 'ssh' : 'other';
}

/**
 * The operations that a message reports as successful; none where it reports no success. No message
 * answers everything: only an exit status is worth that much.
 */
export function answeredBy(message: string): ReadonlySet<Operation> {
  if (!SUCCESS.test(message) || /error|not |fail/i.test(message)) return new Set();
  return new Set(ANSWERS.filter(([said]) => said.test(message)).map(([, operation]) => operation));
}
