import type { FaultRequest, InjectedFault } from './fault.js';
import type { HealCounts } from './heal.js';
import type { DriverName, Profile } from './profile.js';
import type { PinnedSource, SourceTree } from './source.js';
import type { Verdict } from './verdict.js';

/** When the machine outlives its run, for `nixproof debug`. */
export type Keep = 'never' | 'failed' | 'always';

/** Whether a run's machine outlives it. */
export function isKept(keep: Keep, verdict: Verdict | null): boolean {
  return keep === 'always' || (keep === 'failed' && (verdict === 'failed' || verdict === 'error'));
}

/** When a run ended, milliseconds since the epoch. */
export function endOf({ startedAt, durationMs }: Pick<RunReport, 'startedAt' | 'durationMs'>): number {
  return Date.parse(startedAt) + durationMs;
}

/** What one profile test is asked to do: the input of the profileTest workflow. */
export interface RunRequest {
  /** Also the workflow's id: `<profile>-<date>-<random>`. */
  readonly run: string;
  readonly suite: string;
  readonly profile: Profile;
  readonly driver: DriverName;
  /** The machine that has the run, where it is not the one named for it. */
  readonly machine?: string;
  readonly keep: Keep;
  /** A limit for the whole run, milliseconds; absent: only the installer's own. */
  readonly timeoutMs?: number;
  /** Whether the server knows our search attributes. */
  readonly searchAttributes: boolean;
  /** What is to go wrong on purpose; absent where nothing is. */
  readonly faults?: readonly FaultRequest[];
  /** What the configuration was taken from; absent: a folder of the host, as it was. */
  readonly source?: SourceTree;
}

/** One phase of one attempt. `durationMs` runs to the next phase's start or the attempt's end. */
export interface PhaseRecord {
  readonly name: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly durationMs: number;
  readonly attempt: number;
}

/** Why an attempt did not succeed. */
export interface FailureRecord {
  /** A class of the failure table; `unknown` where nothing more is known. */
  readonly class: string;
  readonly phase: string;
  /** The most telling line. Guest text: hostile. */
  readonly line: string;
  /** Its byte offset in the attempt's log. */
  readonly offset: number;
  readonly confidence: number;
  /** How the attempt ended, in words of ours: exit status, stall, limit. */
  readonly reason: string;
}

/**
 * One heal of a run. `worked`: the installer got past the failure with it. `no-effect`: it was applied and the installer failed at
 * the same point. `failed`: it could not be applied. `rejected`: a person said no, or nobody said yes in time.
 */
export interface HealRecord {
  readonly number: number;
  readonly name: string;
  readonly class: string;
  /** What it does, in one sentence. */
  readonly title: string;
  readonly confidence: number;
  /** The installer's phase that had failed. */
  readonly phase: string;
  readonly outcome: 'worked' | 'no-effect' | 'failed' | 'rejected';
  readonly resumed: 'phase' | 'rerun';
  /** How many files of the deployed tree it changed: the patch has them. */
  readonly files: number;
  /** What the record said of it before: `worked 7 of 8 times`. */
  readonly seen: HealCounts;
  /** Why it came to that, in words; may quote the guest: hostile. */
  readonly reason: string;
}

/** A heal that waits for a person: `nixproof approve RUN` or `nixproof reject RUN`. */
export interface PendingHeal {
  readonly name: string;
  readonly class: string;
  readonly title: string;
  readonly confidence: number;
  /** What it would run in the machine. */
  readonly commands: readonly string[];
  readonly destroys?: string;
  /** ISO 8601: after that it counts as rejected. */
  readonly until: string;
}

/** A checkpoint of a run and what it cost. */
export interface CheckpointCost {
  readonly name: string;
  readonly phase: string;
  readonly attempt: number;
  /** How long the guest stood still for it, milliseconds. */
  readonly tookMs: number;
  readonly bytes: number;
}

export interface CheckResult {
  readonly name: string;
  readonly status: 'pass' | 'fail' | 'skip';
  /** What was seen, in one line. Guest text: hostile. */
  readonly detail: string;
  readonly durationMs: number;
}

/** The installer's log of the last attempt, compared with the guest's after the installer's end. */
export interface LogSummary {
  readonly bytes: number;
  readonly lines: number;
  /** Of the artifact. */
  readonly sha256: string;
  /** Whether the artifact is the guest's whole log: of the same size, with the same sum. */
  readonly verified: boolean;
  /**
   * The guest's log, if the artifact has only its beginning, as at `maxLog`. `same`: whether the
   * sum of that part is equal.
   */
  readonly partOf?: { readonly bytes: number; readonly same: boolean };
}

/** The bench's own fault, where the verdict is `error`. */
export interface FaultRecord {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

/** Samples of one metric: milliseconds since the epoch and the value. */
export type MetricSeries = readonly (readonly [at: number, value: number])[];

/** One run in full: `run.json`, and the run objects of the command line's JSON. */
export interface RunReport {
  readonly run: string;
  readonly suite: string;
  readonly profile: string;
  /** Null until the run ends. */
  readonly verdict: Verdict | null;
  /** What the run is doing now, in words; `done` once it has ended. */
  readonly state: string;
  readonly driver: DriverName;
  /** The machine that has the run, where it is not the one named for it: a heal was proved on a copy of that. */
  readonly machine?: string;
  readonly base?: string;
  /** The repository and commit that was tested, where a schedule pinned them. */
  readonly source?: PinnedSource;
  /** The host whose worker held the machine. */
  readonly host?: string;
  readonly startedAt: string;
  readonly durationMs: number;
  readonly attempts: number;
  /** How many phases of the attempt that goes on came back with a checkpoint; absent: none. */
  readonly replayedPhases?: number;
  readonly phases: readonly PhaseRecord[];
  readonly failures: readonly FailureRecord[];
  readonly heals: readonly HealRecord[];
  /** What was made to go wrong on purpose: a run that has any is a drill, and its failures are the bench's own. */
  readonly faults: readonly InjectedFault[];
  /** The heal that waits for a person now. */
  readonly pending?: PendingHeal;
  readonly checkpoints: readonly CheckpointCost[];
  readonly checks: readonly CheckResult[];
  readonly metrics: Readonly<Record<string, MetricSeries>>;
  readonly historyEvents: number;
  readonly log: LogSummary;
  readonly fault?: FaultRecord;
  /**
   * Whether the machine answered from the disk that was installed, without the live system, before
   * it was checked; false if nothing boots, as in a sandbox. Absent if the run ended before.
   */
  readonly bootedInstalled?: boolean;
  /** Things the user should know that are no failure: `machine kept`, `acceleration: tcg`. */
  readonly notes: readonly string[];
  /** Absolute path of the run's folder on its host. */
  readonly artifacts: string;
  /** ISO 8601: when its logs, console and what was collected were removed to make room; absent: nothing was. */
  readonly removedForRoomAt?: string;
  /**
   * When (ISO 8601) and by which command its machine was removed after the run had ended; absent:
   * it was not kept, or is there.
   */
  readonly machineRemoved?: { readonly at: string; readonly by: string };
}

/** What a run's workflow ends with: all else is in its report. */
export type RunResult = Pick<RunReport, 'run' | 'suite' | 'profile' | 'driver' | 'verdict'>;

/** One fault's drill: what was to become of it, and what did. */
export interface DrillResult {
  readonly run: string;
  readonly profile: string;
  /** As it was asked for: `tmp-full@NIX_BUILD`. */
  readonly fault: string;
  /** What the machine showed of it; empty where it was not injected. Guest text: hostile. */
  readonly seen: string;
  /** The class of the first failure; null where nothing failed. */
  readonly detectedAs: string | null;
  /** Names of the heals that worked. */
  readonly healedBy: readonly string[];
  readonly verdict: Verdict | null;
  readonly expected: 'healed' | 'failed' | 'passed';
  /** Whether it came as the table of faults expects. */
  readonly ok: boolean;
}
