import type { AttemptOutcome } from './attempt.js';
import { isIncomplete, type Diagnosis } from './diagnosis.js';
import type { FailureRecord } from './run.js';

/**
 * Why an attempt did not succeed, or undefined where it did. An exit status of zero is success whatever was printed: an
 * error marker alone is evidence, not a verdict.
 */
export function failureOf(outcome: AttemptOutcome): FailureRecord | undefined {
  if (outcome.end.kind === 'exited' && outcome.end.exitCode === 0) return undefined;
  const line = outcome.errors[0] ?? outcome.tail.at(-1);
  const reason = describeEnd(outcome);
  const phase = outcome.phases.at(-1)?.name ?? '';
  return diagnosedFailure(
    plainFailure(phase, line?.text ?? reason, line?.offset ?? outcome.log.bytes, reason),
    outcome.diagnoses,
  );
}

/** The same failure with what a diagnosis says of it; as it was where there is none. */
export function diagnosedFailure(failure: FailureRecord, diagnoses: readonly Diagnosis[] = []): FailureRecord {
  const unread = diagnoses.find(isIncomplete);
  if (unread) {
    const told = diagnoses.filter((diagnosis) => diagnosis !== unread);
    return diagnosedFailure({ ...failure, reason: `${failure.reason}; ${unread.why}` }, told);
  }
  const [best] = diagnoses;
  if (best === undefined) return failure;
  const { class: failureClass, confidence, offset, evidence } = best;
  return { ...failure, class: failureClass, line: evidence[0] ?? failure.line, offset, confidence };
}

/** A failure that nobody has diagnosed. */
export function plainFailure(phase: string, line: string, offset: number, reason: string): FailureRecord {
  return { class: 'unknown', phase, line, offset, confidence: 0, reason };
}

/** How it ended, for people. */
export function describeEnd({ end }: AttemptOutcome): string {
  switch (end.kind) {
    case 'exited':
      return `the installer ended with exit status ${end.exitCode}`;
    case 'stalled':
      return `the installer printed nothing for ${Math.round(end.silentMs / 1000)} s and was stopped${
        end.doing === undefined ? '' : `; it was at: ${end.doing}`
      }`;
    case 'timed-out':
      return `the installer took longer than ${Math.round(end.limitMs / 1000)} s and was stopped`;
    case 'talkative':
      return `the installer printed more than ${Math.round(end.limitBytes / 2 ** 20)} MiB and was stopped`;
    case 'killed':
      return 'the installer was killed before it could say how it ended';
    case 'machine-lost':
      return 'the machine stopped while the installer ran';
  }
}
