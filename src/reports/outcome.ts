import type { CheckResult, FailureRecord, PhaseRecord, RunReport } from '../domain/run.js';
import { oneLine } from './escape.js';
import type { Verdict } from '../domain/verdict.js';

/** How a verdict is shown, `running` standing for none yet. `healed` differs from `passed` in word, sign and colour. */
export interface VerdictLook {
  readonly key: Verdict | 'running';
  readonly word: string;
  readonly sign: string;
  /** What it means, for a reader who does not know the words. */
  readonly meaning: string;
}

const LOOKS: Readonly<Record<Verdict | 'running', Omit<VerdictLook, 'key'>>> = {
  passed: { word: 'passed', sign: '✓', meaning: 'Installed and verified without help.' },
  healed: {
    word: 'healed',
    sign: '✚',
    meaning: 'Passed only after changes; without them this configuration does not install.',
  },
  failed: {
    word: 'failed',
    sign: '✗',
    meaning: 'This configuration did not install, or is not what its checks ask for.',
  },
  error: { word: 'error', sign: '!', meaning: 'The fault is the bench’s, not the configuration’s.' },
  cancelled: { word: 'cancelled', sign: '⊘', meaning: 'Stopped before there was a result.' },
  running: { word: 'running', sign: '…', meaning: 'No verdict yet.' },
};

export function lookOf(verdict: Verdict | null): VerdictLook {
  const key = verdict ?? 'running';
  return { key, ...LOOKS[key] };
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
