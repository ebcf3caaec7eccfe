import type { AttemptRef } from './attempt.js';
import type { Diagnosis, FailureClass } from './diagnosis.js';
import type { Firmware, Installation } from './profile.js';

/** What read-only commands said on the failed machine: probe's name → its output, bounded. Guest text: hostile. */
export type ProbeResults = Readonly<Record<string, string>>;

/** All that a heal may look at before it says what it would do. */
export interface Evidence {
  readonly diagnosis: Diagnosis;
  /** The installer's phase when it failed; empty where it has none. */
  readonly phase: string;
  readonly probes: ProbeResults;
  readonly machine: {
    /** Target disks as the machine has them, absolute paths. */
    readonly disks: readonly string[];
    readonly memoryMiB: number;
    readonly firmware: Firmware;
    /** Whether its kernel, network, devices and services are those of the host. */
    readonly sharesSystem: boolean;
  };
  readonly install: Pick<Installation, 'kind'>;
  /** Absolute path of the deployed tree in the machine. */
  readonly tree: string;
}

/** One change of the deployed tree, kept as a patch for the user. */
export type TreeEdit =
  /** A file, written whole. Its path is relative to the tree. */
  | { readonly kind: 'write'; readonly path: string; readonly content: string }
  /** One text for another, in every text file of the tree that has it. */
  | { readonly kind: 'replace'; readonly find: string; readonly put: string };

/** Where the installer goes on after a heal: at the beginning of the phase that failed, or anew. */
export type Resume = 'phase' | 'rerun';

/** What a heal does on one machine. Plain data: it travels through workflow history. */
export interface HealPlan {
  /** POSIX shell, each run as root in the machine, in order; the first that fails ends the heal. */
  readonly commands: readonly string[];
  /** Takes the commands back where they did not help and there is no checkpoint to go back to. */
  readonly undo: readonly string[];
  readonly edits: readonly TreeEdit[];
  /** `phase` where a checkpoint of the phase stands; without one the installer is run anew. */
  readonly resume: Resume;
  /** What of the target machine is lost by it, in words; absent where nothing is. */
  readonly destroys?: string;
}

/**
 * What commands act on. `files`: only files below the machine's root, so that they are safe on a
 * machine that shares its host's system. `system`: the machine's kernel, network, devices, services
 * or package manager.
 */
export type Scope = 'files' | 'system';

/** A named remedy. Pure: evidence in, plan out. Adding one is adding an entry to the catalogue. */
export interface Heal {
  /** Unique, in kebab-case. */
  readonly name: string;
  readonly for: readonly FailureClass[];
  /** What its commands act on. On a machine that shares its host's system `files` only. */
  readonly scope: Scope;
  /** What it does, for people: one sentence in the imperative, without a full stop. */
  readonly title: string;
  /** How likely it helps, 0 to 1, before there is any record of it. */
  readonly confidence: number;
  /** What it would do here; undefined where the evidence says that it cannot help. */
  readonly plan: (evidence: Evidence) => HealPlan | undefined;
}

/** What the record says of one heal for one class. */
export interface HealCounts {
  readonly worked: number;
  /** Applied without effect, or failed while it was applied. */
  readonly notWorked: number;
}

/** A heal that could be applied now, with how sure we are of it. */
export interface Candidate {
  readonly name: string;
  readonly class: FailureClass;
  readonly title: string;
  /** Confidence in the diagnosis × the posterior mean of the heal, 0 to 1. */
  readonly confidence: number;
  readonly seen: HealCounts;
  readonly plan: HealPlan;
}

/** One heal about to be applied. */
export interface HealApplication {
  /** Counts up in a run; the first is 1. */
  readonly number: number;
  readonly plan: HealPlan;
  /** The attempt that failed. */
  readonly attempt: AttemptRef;
  /** The checkpoint to go back to first; absent: the machine stays as it failed. */
  readonly restore?: string;
  /** The attempt as which the installer was started that is in the machine then. */
  readonly guest: number;
  /** Heals that worked and that the checkpoint is older than: they are applied again, before this one. */
  readonly again: readonly Pick<HealApplication, 'number' | 'plan'>[];
  /** Whether an installer of its own is started afterwards. */
  readonly rerun: boolean;
}

/** What came of applying it. That its commands succeeded proves nothing yet. */
export interface HealApplied {
  readonly ok: boolean;
  /** The end of what its commands printed. Guest text: hostile. */
  readonly said: string;
  /** How many files of the deployed tree it changed. */
  readonly files: number;
}

/** A machine to be made of a run's own: one that goes on from a checkpoint of it. */
export interface Fork {
  readonly checkpoint: string;
  readonly machine: string;
}
