/** What family a fault belongs to: decides whether it is tried again and which exit code it gives. */
export type ErrorFamily =
  'CONFIG' | 'UNSUPPORTED' | 'HOST' | 'MACHINE' | 'TRANSPORT' | 'SERVER' | 'REQUEST' | 'INTERNAL';

/** A stable, documented code such as `CONFIG_UNKNOWN_PROFILE`. It is the `type` of the Temporal ApplicationFailure. */
export type ErrorCode = `${ErrorFamily}_${string}`;

/** Serialisable facts about a fault. Never a secret. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null | readonly string[]>>;

export interface ErrorOptions {
  /** What the user can do about it: one imperative sentence, with the command where there is one. */
  readonly hint?: string;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/**
 * The one kind of error that is thrown on purpose. Outcomes (an installer that failed, a red check) are data, never this.
 * `message` is one sentence for people; `code` is for programs.
 */
export class NixproofError extends Error {
  override readonly name = 'NixproofError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.details = options.details ?? {};
  }
}

/** Whether a caught value is the fault with one of those codes. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is NixproofError {
  return error instanceof NixproofError && codes.includes(error.code);
}

/** What the user can do about a full disk of the bench. */
export const FULL_DISK_HINT = 'run `nixproof cleanup`, or set NIXPROOF_HOME to a folder on another disk';

/** The family of a code: the part before its first underscore. */
export function familyOf(code: string): ErrorFamily {
  const family = code.split('_', 1)[0];
  switch (family) {
    case 'CONFIG':
    case 'UNSUPPORTED':
    case 'HOST':
    case 'MACHINE':
    case 'TRANSPORT':
    case 'SERVER':
    case 'REQUEST':
      return family;
    default:
      return 'INTERNAL';
  }
}

/** Faults after which looking again shows the same, although their families’ pass. */
const FINAL: readonly string[] = [
  'INTERNAL_STEP_ENDS_WORKER',
  'MACHINE_GONE',
  'MACHINE_NEVER_BOOTED',
  'MACHINE_TOOL_MISSING',
  'TRANSPORT_HOST_KEY',
  'TRANSPORT_AUTH',
];

/** Faults of hosts that pass when other runs end. */
const PASSING: readonly string[] = ['HOST_OPEN_FILES'];

/** Whether looking again can help: machines and connections come back, wrong configurations and missing tools do not. */
export function isRetryable(code: string): boolean {
  if (FINAL.includes(code)) return false;
  if (PASSING.includes(code)) return true;
  const family = familyOf(code);
  return family === 'MACHINE' || family === 'TRANSPORT' || family === 'SERVER' || family === 'INTERNAL';
}

/**
 * In a step's retry policy, as a type that the server does not retry: a fault of the step goes back to its workflow, which counts the
 * tries; what the server retries is no try, a worker's end or death.
 */
export const COUNTED_FAULTS = 'COUNTED_FAULTS';

/** What a caught value says, whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
