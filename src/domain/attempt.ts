import type { Diagnosis } from './diagnosis.js';
import type { FaultResult } from './fault.js';
import type { LogSummary } from './run.js';

/** Names the checkpoint of a kept machine whose installer failed: what `nixproof debug` goes back to. */
export const FAILURE_CHECKPOINT = 'failure';

/** Which phase's beginning a checkpoint is of; undefined where it is of another kind. */
export function barrierOf(checkpoint: string): number | undefined {
  const digits = /^a\d+-p(\d+)(?:-h\d+)*$/.exec(checkpoint)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** How the bench saw one attempt of the installer end. */
export type AttemptEnd =
  | { readonly kind: 'exited'; readonly exitCode: number }
  /** No output for `silentMs`; it was killed. `doing`: the command it was at, where the guest told. Guest text: hostile. */
  | { readonly kind: 'stalled'; readonly silentMs: number; readonly doing?: string }
  /** It took longer than it may; it was killed. */
  | { readonly kind: 'timed-out'; readonly limitMs: number }
  /** It printed more than it may; it was killed. Its log here ends there. */
  | { readonly kind: 'talkative'; readonly limitBytes: number }
  /** It vanished without an exit status: killed from outside, or the guest ran out of memory. */
  | { readonly kind: 'killed' }
  /** The machine itself stopped, and there is a checkpoint to bring it back from. */
  | { readonly kind: 'machine-lost' };

/**
 * One attempt of the installer. The first one and every rerun is an installer of its own in the guest; one that was brought back
 * with a checkpoint goes on in the files of the attempt it was started as.
 */
export interface AttemptRef {
  readonly number: number;
  /** The attempt as which the installer was started in the guest. */
  readonly guest: number;
  /** How many of the stream's phases it has not lived through itself: they came back with the checkpoint. */
  readonly replayedPhases: number;
  /** Numbers of the heals whose changes it has; they name its checkpoints. */
  readonly heals: readonly number[];
}

/** One frozen moment of a run: the beginning of a phase. */
export interface PhaseCheckpoint {
  readonly name: string;
  /** Which of the installer's phases, the first is 1. */
  readonly barrier: number;
  /** Milliseconds since the epoch. */
  readonly takenAt: number;
  /** How long the guest stood still for it, milliseconds. */
  readonly tookMs: number;
  readonly bytes: number;
}

/** Names the checkpoint of one phase of one attempt. Letters, digits and dashes only. */
export function checkpointName({ guest, heals }: AttemptRef, barrier: number): string {
  return `a${guest}-p${barrier}${heals.map((heal) => `-h${heal}`).join('')}`;
}

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
  /** Names of processes that the installer left running; absent: none. Guest text: hostile. */
  readonly left?: readonly string[];
  /** How many phases the installer has begun through `nixproof-phase`. */
  readonly barrier: number;
  /** Those of the machine, oldest first. */
  readonly checkpoints: readonly PhaseCheckpoint[];
  /** Why it failed, best first, at most three; absent where it succeeded. */
  readonly diagnoses?: readonly Diagnosis[];
  /** What has become of the run's faults so far; absent where it has none. */
  readonly faults?: readonly FaultResult[];
}

/** How far a running installer has come: heartbeats and signals carry it. */
export interface InstallProgress {
  readonly attempt: number;
  /** The host that tells it: one that was lost may do so late. Absent in heartbeats and older records. */
  readonly host?: string;
  readonly phase: string;
  /** How many phases the stream has named; absent in older records. */
  readonly phases?: number;
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
      /** The console's last line. Guest text: hostile. */
      readonly line: string;
      readonly reason: string;
      /** Why, as the end of the console tells, best first, at most three. */
      readonly diagnoses: readonly Diagnosis[];
    };
