import { failureOf } from '../domain/failure.js';
import type { AttemptOutcome } from '../domain/attempt.js';

/**
 * Whether an attempt got past the point where an earlier one failed: it succeeded, it came to a later phase, or in the same phase it
 * failed further on for another reason. Commands that succeeded prove nothing.
 */
export function hasProgressed(before: AttemptOutcome, after: AttemptOutcome): boolean {
  const was = failureOf(before);
  const now = failureOf(after);
  if (!now || !was) return true;
  if (after.phases.length !== before.phases.length) return after.phases.length > before.phases.length;
  return now.class !== was.class && now.class !== 'unknown' && now.offset > was.offset;
}
