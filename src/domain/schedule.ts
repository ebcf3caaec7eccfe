import type { DriverName, HealingPolicy, SecretSource } from './profile.js';
import type { FaultRecord } from './run.js';
import type { PinnedSource, Source } from './source.js';
import type { Verdict } from './verdict.js';

/**
 * What becomes of a firing that is due while the one before is under way. One at a time: only then
 * the server hands on what the one before came to.
 */
export const OVERLAPS = ['skip', 'buffer-one', 'buffer-all', 'cancel-other'] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** When a schedule fires. Times are milliseconds. */
export interface Timing {
  readonly cron?: string;
  readonly everyMs?: number;
  /** What `cron` is read in, an IANA name. */
  readonly timezone: string;
  readonly overlap: Overlap;
  /** Firings that were missed by no more than this are made up for. */
  readonly catchupMs: number;
  /** Each firing is late by a random time up to this. */
  readonly jitterMs?: number;
}

/** Which profiles of a configuration are tested, and what is said of all of them. */
export interface ProfileChoice {
  /** Empty: all of them. */
  readonly profiles: readonly string[];
  readonly drivers?: readonly DriverName[];
  readonly bases?: readonly string[];
  readonly heal?: HealingPolicy['policy'];
  readonly maxHeals?: number;
  /**
   * Whether the configuration may run nothing on a host and read nothing outside its repository.
   */
  readonly untrusted?: true;
}

/**
 * Who is told. A webhook's address may be a reference that the worker resolves: `env:NAME`,
 * `file:PATH`, or `secret:NAME`, whose `secret` says where the configuration had it from. The `key`
 * that what it is told is signed with always is `env:NAME` or `file:PATH`.
 */
export type Receiver =
  | { readonly kind: 'webhook'; readonly url: string; readonly secret?: SecretSource; readonly key?: string }
  | { readonly kind: 'command'; readonly command: string };

/** What keeps a text from being a webhook's URL; undefined where nothing does. */
export function addressProblem(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return 'is no http or https URL';
  // fetch sends none.
  return url.username === '' && url.password === '' ? undefined : 'holds a user or password';
}

/** What a schedule starts each time: the input of the scheduledSuite workflow. */
export interface ScheduledSuite {
  readonly schedule: string;
  readonly source: Source;
  /** The configuration's path in the source's folder; absent: found there by its name. */
  readonly config?: string;
  readonly choice: ProfileChoice;
  /** Absent: what `PARALLEL_TESTS` of the worker says, else `auto`. */
  readonly parallel?: 'auto' | number;
  /** A limit for each run as a whole, milliseconds. */
  readonly timeoutMs?: number;
  readonly searchAttributes: boolean;
  readonly notify: readonly Receiver[];
}

/** How a profile stands; `null` is the source with its configuration, without which no profile can be tested. */
export interface ProfileVerdict {
  readonly profile: string | null;
  readonly verdict: Verdict;
  /** The run that says so. */
  readonly run?: string;
}

/** One profile's verdict that is not what it was at the firing before. */
export interface VerdictChange extends ProfileVerdict {
  readonly change: 'broke' | 'fixed' | 'healed';
  /** Null at the first firing. */
  readonly before: Verdict | null;
}

/** What receivers are sent, as JSON. */
export interface Notification extends VerdictChange {
  /** The same however often this change is sent: whoever has seen it may pass it over. */
  readonly key: string;
  /** It in one sentence. */
  readonly text: string;
  readonly schedule: string;
  readonly suite: string | null;
  readonly source: PinnedSource | null;
  /** The source at the firing before. */
  readonly sourceBefore: PinnedSource | null;
}

/** What one firing came to: the result of the scheduledSuite workflow, which the next firing compares with. */
export interface Firing {
  readonly schedule: string;
  readonly verdict: Verdict;
  /** Null where it never came to a suite. */
  readonly suite: string | null;
  readonly source: PinnedSource | null;
  /** The last word on each profile, from this firing or an earlier one. */
  readonly profiles: readonly ProfileVerdict[];
  readonly changes: readonly VerdictChange[];
  /** Notifications that no try delivered, and why. */
  readonly undelivered: readonly string[];
  /** Why there is no suite. */
  readonly fault?: FaultRecord;
}

const CHANGES = { passed: 'fixed', healed: 'healed', failed: 'broke', error: 'broke' } as const;

/**
 * What is worth telling: verdicts that changed, and at first only what is broken. A cancelled run says nothing of its profile.
 * @param before the last word on each profile; empty at the first firing
 */
export function changesOf(before: readonly ProfileVerdict[], now: readonly ProfileVerdict[]): readonly VerdictChange[] {
  return now.flatMap((one) => {
    if (one.verdict === 'cancelled') return [];
    const was = before.find(({ profile }) => profile === one.profile)?.verdict ?? null;
    const change = CHANGES[one.verdict];
    if (was === one.verdict || (was === null && change !== 'broke')) return [];
    return [{ ...one, change, before: was }];
  });
}

/** The last word on each of these profiles: what was known stays where the new one says nothing. */
export function lastWord(before: readonly ProfileVerdict[], now: readonly ProfileVerdict[]): readonly ProfileVerdict[] {
  return now.flatMap((one) => {
    if (one.verdict !== 'cancelled') return [one];
    return before.filter(({ profile }) => profile === one.profile);
  });
}

/** `nightly: vm broke (passed → failed) in suite-…`. */
export function changeText(schedule: string, suite: string | null, change: VerdictChange, why?: string): string {
  const what = change.profile ?? 'the configuration';
  const where = suite === null ? '' : ` in ${suite}`;
  const verdicts = change.before === null ? change.verdict : `${change.before} → ${change.verdict}`;
  const word = change.change === 'healed' ? 'needed healing' : change.change === 'fixed' ? 'is fixed' : 'broke';
  return `${schedule}: ${what} ${word} (${verdicts})${where}${why === undefined ? '' : `: ${why}`}`;
}
