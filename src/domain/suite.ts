import type { FaultRequest } from './fault.js';
import type { DriverName, Profile } from './profile.js';
import type { DrillResult, Keep, RunReport, RunRequest } from './run.js';
import type { SourceTree } from './source.js';
import type { Verdict } from './verdict.js';

/** One run of a suite. */
export interface SuiteRun {
  readonly run: string;
  /** Which of the suite's profiles, from 0. */
  readonly profile: number;
  /** What is to go wrong on purpose; absent where nothing is. */
  readonly faults?: readonly FaultRequest[];
}

/** What a suite is asked to do: the input of the testSuite workflow. Profiles stand in it once, however many runs they have. */
export interface SuiteRequest {
  readonly suite: string;
  readonly profiles: readonly (Profile & { readonly driver: DriverName })[];
  readonly runs: readonly SuiteRun[];
  /** How many runs go on at the same time. */
  readonly parallel: number;
  readonly keep: Keep;
  /** A limit for each run as a whole, milliseconds; absent: only the installers' own. */
  readonly timeoutMs?: number;
  /** Whether the server knows our search attributes. */
  readonly searchAttributes: boolean;
  /** The first run that fails stops the others. */
  readonly failFast?: boolean;
  /** How often a run that ends in `error`, the bench's own fault, is run again as another run. */
  readonly retryErrors?: number;
  /** What the configuration was taken from, where that was pinned. */
  readonly source?: SourceTree;
  /** Of a suite that goes on in another execution: how its runs have ended so far, in their order; null: not yet. */
  readonly ended?: readonly (Verdict | null)[];
  /** And which of them were run again: the first's name → the others, in order. */
  readonly retried?: Readonly<Record<string, readonly RetriedRun[]>>;
}

/** A run that was made of another one again. */
export interface RetriedRun {
  readonly run: string;
  readonly verdict: Verdict;
}

/** One of a suite's runs in full. */
export function runRequest(suite: SuiteRequest, { run, profile: index, faults }: SuiteRun): RunRequest {
  const profile = suite.profiles[index];
  if (!profile) throw new RangeError(`the suite has no profile ${index}`);
  return {
    run,
    suite: suite.suite,
    profile,
    driver: profile.driver,
    keep: suite.keep,
    ...(suite.timeoutMs === undefined ? {} : { timeoutMs: suite.timeoutMs }),
    searchAttributes: suite.searchAttributes,
    ...(faults === undefined ? {} : { faults }),
    ...(suite.source === undefined ? {} : { source: suite.source }),
  };
}

/** What a suite's memo says of its runs, small however many there are: their names without the stamp that all have. */
export interface SuiteMemo {
  readonly profiles: readonly (readonly [name: string, driver: DriverName])[];
  readonly runs: readonly (readonly [name: string, profile: number])[];
}

export function memoOf({ suite, profiles, runs }: SuiteRequest): Record<string, unknown> {
  const stamp = suite.slice('suite'.length);
  const memo: SuiteMemo = {
    profiles: profiles.map(({ name, driver }) => [name, driver]),
    runs: runs.map(({ run, profile }) => [run.slice(0, -stamp.length), profile]),
  };
  return { ...memo };
}

/** A suite in one line, for the Temporal UI. */
export function suiteSummary({ profiles }: SuiteRequest): string {
  return `suite of ${profiles.map(({ name }) => name).join(', ')}`.slice(0, 200);
}

/** How one of a suite's runs stands. */
export interface SuiteRunOutcome {
  readonly run: string;
  readonly profile: string;
  readonly driver: DriverName;
  readonly verdict: Verdict;
  /** The run that was made of it again, because it ended in a fault of the bench: that one's verdict counts. */
  readonly retriedAs?: string;
}

/** Says of a run that its verdict does not count. @param again the run that was made of it again; undefined: there is none */
export function noteRetry(report: RunReport, again: string | undefined): RunReport {
  return again === undefined ? report : { ...report, notes: [...report.notes, `run again as ${again}`] };
}

/** What the suite's workflow knows at its end: its runs' reports are theirs. */
export interface SuiteOutcome {
  readonly suite: string;
  readonly verdict: Verdict;
  readonly runs: readonly SuiteRunOutcome[];
}

/** How far a suite has come. */
export interface SuiteProgress {
  /** The runs that go on now. */
  readonly going: readonly string[];
  /** Those that ended last. */
  readonly lately: readonly string[];
  readonly ended: number;
  readonly of: number;
}

export interface SuiteReport {
  readonly suite: string;
  readonly verdict: Verdict | null;
  readonly runs: readonly RunReport[];
  /** What came of each drill, where the suite was one of drills. */
  readonly drills?: readonly DrillResult[];
  /** How steady each profile is, where it was run more than once (`--repeat`). */
  readonly repeats?: readonly Repeat[];
  /** What became other since the runs before, on this host. */
  readonly changes?: readonly SuiteChange[];
}

/** A run that came out other than the last one of the same profile, driver and base in another suite. */
export interface SuiteChange {
  readonly profile: string;
  readonly driver: DriverName;
  readonly base?: string;
  readonly kind: 'broke' | 'fixed' | 'healed' | 'slower';
  readonly run: string;
  /** The run it is compared with. */
  readonly before: string;
  /** `passed before, failed now`. */
  readonly text: string;
}

/** What came of several runs of the same thing. */
export interface Repeat {
  readonly profile: string;
  readonly driver: DriverName;
  readonly base?: string;
  /** Runs whose verdict says something of the profile: `passed`, `healed` or `failed`. */
  readonly runs: number;
  readonly passed: number;
  readonly healed: number;
  readonly failed: number;
  /** Whether some passed and some did not, or needed healing. */
  readonly flaky: boolean;
  /** Within these bounds the share of plain passes lies, with 95 % confidence (Wilson's interval). */
  readonly passRate: readonly [low: number, high: number];
}
