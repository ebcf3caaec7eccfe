import type { CheckResult, FailureRecord, PhaseRecord, RunReport } from '../domain/run.js';
import { oneLine } from './escape.js';
import type { Verdict } from '../domain/verdict.js';

/** How a verdict is shown, `running` standing for none yet. `healed` differs from `passed` in word, sign and colour. */
export interface VerdictLook {
  readonly key: Verdict | 'running';
  readonly word: string;
  readonly sign: string;
}

const LOOKS: Readonly<Record<Verdict | 'running', Omit<VerdictLook, 'key'>>> = {
  passed: { word: 'passed', sign: '✓' },
  healed: { word: 'healed', sign: '✚' },
  failed: { word: 'failed', sign: '✗' },
  error: { word: 'error', sign: '!' },
  cancelled: { word: 'cancelled', sign: '⊘' },
  running: { word: 'running', sign: '…' },
};

export function lookOf(verdict: Verdict | null): VerdictLook {
  const key = verdict ?? 'running';
  return { key, ...LOOKS[key] };
}

/** What every report says of a run that was installed and has no check that passed. */
export const NOTHING_CHECKED = 'installed, nothing was checked';

/**
 * What a run's verdict means, for a reader who does not know the words. It claims no more than the
 * run has shown.
 */
export function meaningOf(run: RunReport): string {
  switch (run.verdict) {
    case 'passed':
      return passesChecks(run) ? 'Installed and verified without help.' : `${capitalised(NOTHING_CHECKED)}.`;
    case 'healed':
      return healedMeaning(run);
    case 'failed':
      return run.faults.length > 0
        ? 'It did not install, or is not what its checks ask for, while faults were injected on purpose.'
        : 'This configuration did not install, or is not what its checks ask for.';
    case 'error':
      return run.fault?.code.startsWith('CONFIG_')
        ? 'What the configuration names is not there, or is not as it must be.'
        : 'The fault is the bench’s, not the configuration’s.';
    case 'cancelled':
      return 'Stopped before there was a result.';
    case null:
      return 'No verdict yet.';
  }
}

function healedMeaning(run: RunReport): string {
  const what = passesChecks(run) ? 'Passed only after' : `${capitalised(NOTHING_CHECKED)}; it took`;
  // What a fault did, and what its heal changed, says nothing of the configuration.
  if (run.faults.length > 0) return `${what} heals against faults that were injected on purpose.`;
  if (!changedConfiguration(run)) return `${what} heals of the machine; nothing in the configuration was changed.`;
  return `${what} changes; this configuration does not install without these changes.`;
}

/** Whether at least one check has passed: what only was installed is not verified. */
export function passesChecks({ checks }: RunReport): boolean {
  return checks.some(({ status }) => status === 'pass');
}

/** Whether a heal that worked has changed the deployed configuration. */
export function changedConfiguration({ heals }: RunReport): boolean {
  return heals.some(({ outcome, files }) => outcome === 'worked' && files > 0);
}

/** A sentence with a capital letter first. */
export function capitalised(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** One execution of the installer as reports show it. */
export interface AttemptRecord {
  readonly number: number;
  readonly phases: readonly PhaseRecord[];
  /** Sum of its phases, milliseconds. */
  readonly durationMs: number;
  readonly failure: FailureRecord | undefined;
}

/**
 * The run's attempts in order. Every failed attempt has left one failure, so the n-th failure is the n-th attempt's; where there
 * are more failures than attempts, the last attempt keeps its last. A failure before the first attempt is told as that attempt's.
 */
export function attemptsOf(run: RunReport): readonly AttemptRecord[] {
  const count = Math.max(run.attempts, run.failures.length > 0 ? 1 : 0);
  return Array.from({ length: count }, (_, index) => {
    const number = index + 1;
    const phases = run.phases.filter((phase) => phase.attempt === number);
    const failure = number === count ? run.failures.slice(index).at(-1) : run.failures[index];
    return { number, phases, durationMs: phases.reduce((sum, phase) => sum + phase.durationMs, 0), failure };
  });
}

/** The failure that decided the run: the last attempt's, where that attempt failed. */
export function decidingFailure(run: RunReport): FailureRecord | undefined {
  return attemptsOf(run).at(-1)?.failure;
}

/** The class in brackets, where somebody knows it; `unknown` tells a reader nothing. */
export function classText(failure: FailureRecord): string {
  return failure.class === 'unknown' ? '' : ` (${oneLine(failure.class, 100)})`;
}

/** How the attempt ended, without a full stop. */
export function reasonText(failure: FailureRecord): string {
  return oneLine(failure.reason, 300).replace(/\.$/, '');
}

export function redChecks(run: RunReport): readonly CheckResult[] {
  return run.checks.filter((check) => check.status === 'fail');
}
