import type { FailureClass } from '../domain/diagnosis.js';
import type { FaultName } from '../domain/fault.js';
import type { Scope } from '../domain/heal.js';
import type { DriverName } from '../domain/profile.js';

/**
 * How a fault is brought about. Shell text is POSIX, run as root in the machine with the environment of `asFault`; run twice it
 * does the same as once, and where it cannot be done there it says why and does not exit with 0.
 */
export type Injection =
  | {
      readonly kind: 'guest';
      readonly inject: string;
      /** Takes it back, and does nothing where it was never injected. */
      readonly takeBack: string;
    }
  /** The machine's cable is pulled and plugged in again by the bench; without one the guest's interface is taken down for as long. */
  | { readonly kind: 'network'; readonly downMs: number; readonly withoutCable: string }
  | { readonly kind: 'kill-installer' }
  | { readonly kind: 'crash-machine' }
  | { readonly kind: 'kill-worker' };

/**
 * When it is injected where no phase is named. `start`: before the installer starts. `first-phase`: once the installer has begun its
 * first phase. `target-mounted`: at the first phase at whose beginning a file system of a target disk is mounted.
 */
export type Moment = 'start' | 'first-phase' | 'target-mounted';

/**
 * What becomes of a run that has it. `healed`: it is found out and one of the heals gets the installer past it. `failed`: nothing
 * can be done about it, and the run says so. `passed`: the installer is to endure it.
 */
export type Outcome = 'healed' | 'failed' | 'passed';

/** One row of the table of faults. Adding one is adding an entry, and its name to `FAULT_NAMES`. */
export interface Fault {
  readonly name: FaultName;
  /** What it does, for people: one sentence without a full stop. */
  readonly title: string;
  readonly outcome: Outcome;
  /** The classes it may be found out as, the usual one first; none where the installer is to endure it. */
  readonly expects: readonly FailureClass[];
  /** Heals of the catalogue that should help, the likeliest first. */
  readonly heals: readonly string[];
  readonly moment: Moment;
  /**
   * Whether it strikes once the installer has gone on from the beginning of its phase. Otherwise it is there before that phase's
   * checkpoint is taken, so that going back does not cure it.
   */
  readonly afterRelease: boolean;
  /** What it acts on. None of `system` is for a driver whose machines share the host's system. */
  readonly scope: Scope;
  readonly injection: Injection;
  /** Shell text that prints what the guest sees of it, and fails where it sees nothing; absent where the bench itself sees it. */
  readonly evidence?: string;
  readonly drivers: readonly DriverName[];
}
