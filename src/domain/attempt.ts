import type { Diagnosis } from './diagnosis.js';
import type { LogSummary } from './run.js';

/** How the bench saw one attempt of the installer end. */
export type AttemptEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  /** No output for `silentMs`; it was killed. */
  | { readonly kind: 'stalled'; readonly silentMs: number }
  /** It took longer than it may; it was killed. */
  | { readonly kind: 'timed-out'; readonly limitMs: number }
  /** It vanished without an exit status: killed from outside, or the guest ran out of memory. */
  | { readonly kind: 'killed' };

/** A phase as the stream named it. `at`: milliseconds since the epoch. */
export interface PhaseStart {
  readonly name: string;
  readonly at: number;
}

/** A line worth quoting. Guest text: hostile. */
export interface QuotedLine {
  readonly text: string;
  readonly offset: number;
}

/** What one attempt came to: the only thing of its stream that travels through history. Bounded however long the log. */
export interface AttemptOutcome {
  readonly end: AttemptEnd;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly phases: readonly PhaseStart[];
  /** The first error markers and errors of Nix. */
  readonly errors: readonly QuotedLine[];
  /** The last lines before the end. */
  readonly tail: readonly QuotedLine[];
  readonly log: LogSummary;
  /** Why it failed, best first, at most three; absent where it succeeded. */
  readonly diagnoses?: readonly Diagnosis[];
}

/** How far a running installer has come: heartbeats and signals carry it. */
export interface InstallProgress {
  readonly attempt: number;
  readonly phase: string;
  readonly offset: number;
  readonly lines: number;
  /** The latest progress marker's stage and details. */
  readonly progress: string;
}

/** What came of restarting the machine from the installed disk. */
export type BootOutcome =
  | { readonly booted: true }
  | {
      readonly booted: false;
      /** The console's last telling line. Guest text: hostile. */
      readonly line: string;
      readonly reason: string;
    };
