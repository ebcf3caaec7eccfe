import type { AttemptEnd } from '../domain/attempt.js';
import type { Diagnosis, FailureClass } from '../domain/diagnosis.js';

interface EndRule {
  readonly class: FailureClass;
  readonly confidence: number;
  readonly why: string;
}

/** What the way an attempt ended says by itself, whatever was printed. */
const ENDS: Readonly<Partial<Record<AttemptEnd['kind'], EndRule>>> = {
  killed: { class: 'unknown', confidence: 0.9, why: 'the installer was killed from outside' },
  'machine-lost': { class: 'unknown', confidence: 0.95, why: 'the machine stopped while the installer ran' },
  stalled: { class: 'timeout', confidence: 0.7, why: 'the installer printed nothing for too long' },
  talkative: { class: 'unknown', confidence: 0.9, why: 'the installer printed more than `install.maxLog` lets it' },
  'timed-out': { class: 'timeout', confidence: 0.7, why: 'the installer took too long' },
};

/** Adds what the end says to what the log says, best first. A kill by the kernel for want of memory is the log's to explain. */
export function withEnd(
  diagnoses: readonly Diagnosis[],
  end: AttemptEnd,
  at: Pick<Diagnosis, 'line' | 'offset'>,
): readonly Diagnosis[] {
  const rule = ENDS[end.kind];
  if (!rule || diagnoses[0]?.class === 'memory.oom') return diagnoses;
  const own: Diagnosis = { ...rule, ...at, evidence: [], rule: `end/${end.kind}`, captures: {} };
  return [own, ...diagnoses].sort((a, b) => b.confidence - a.confidence);
}
