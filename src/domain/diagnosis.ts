/** What went wrong, by its cause: the classes that heals are written for. `unknown`: it failed, and no rule says why. */
export const FAILURE_CLASSES = [
  'disk.not-found',
  'disk.busy',
  'disk.partition-failed',
  'disk.full',
  'mount.failed',
  'network.dns',
  'network.unreachable',
  'network.http',
  'network.rate-limit',
  'cache.bad',
  'memory.oom',
  'nix.eval',
  'nix.build',
  'nix.daemon',
  'nix.flake',
  'bootloader',
  'hardware.firmware',
  'kexec',
  'ssh.auth',
  'ssh.connection',
  'auth.secrets',
  'user.input',
  'timeout',
  'service.failed',
  'unknown',
] as const;

export type FailureClass = (typeof FAILURE_CLASSES)[number];

/** A failure class with how sure we are of it, and the lines that say so. Lines are guest text: hostile. */
export interface Diagnosis {
  readonly class: FailureClass;
  /** 0 to 1. */
  readonly confidence: number;
  /** Index of the most telling line in the log: the first line is 0. */
  readonly line: number;
  /** That line's byte offset in the log. */
  readonly offset: number;
  /** The most telling line first, then others that say the same, each bounded. */
  readonly evidence: readonly string[];
  /** In words of ours, what the line means; may quote parts of it. */
  readonly why: string;
  /** The rule that matched, such as `disk.full/no-space`; empty where none did. */
  readonly rule: string;
  /** What the rule took out of the line: `device`, `host`, `unit` … Guest text: hostile. */
  readonly captures: Readonly<Record<string, string>>;
}

/** The rule of a diagnosis that says that not all of a log was read. */
const INCOMPLETE = 'end/incomplete';

/**
 * What is said of a log that could not be read to its end.
 * @param why what became of the reading
 */
export function incomplete(why: string, at: Pick<Diagnosis, 'line' | 'offset'> = { line: 0, offset: 0 }): Diagnosis {
  return {
    class: 'unknown',
    confidence: 0,
    ...at,
    evidence: [],
    why: `diagnosis incomplete: ${why}`,
    rule: INCOMPLETE,
    captures: {},
  };
}

/** Whether a diagnosis says nothing but that not all of a log was read. */
export function isIncomplete({ rule }: Diagnosis): boolean {
  return rule === INCOMPLETE;
}
