import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { AttemptOutcome } from '../domain/attempt.js';
import { hasProgressed } from '../healing/progress-check.js';

/** How one heal in a race came out, as far as it was let. `files`: so many it changed. */
export type Finish =
  | { readonly kind: 'ended'; readonly files: number; readonly outcome: AttemptOutcome }
  /** It could not be applied. */
  | { readonly kind: 'failed'; readonly files: number; readonly said: string }
  /** Another one had won. */
  | { readonly kind: 'broken-off' };

/** What of a race decides it. */
export interface RaceRules<C> {
  /** The failed attempt. */
  readonly before: AttemptOutcome;
  /** Applies the heal and follows the installer to its end. */
  readonly compete: (contender: C) => Promise<Finish>;
  /** How many phases the stream of its attempt has named so far, where that is known. */
  readonly phases: (contender: C) => number;
}

/**
 * Several heals of one failure, each on a machine of its own, at once. The first whose installer gets past the failure wins: by a
 * later phase while it still goes on, or at its end. The others are broken off then, and the winner is followed to its end. A fault of
 * the bench on one of the machines ends the race as it ends any other step.
 * @returns each contender with its finish, in the order given; at most one has won
 */
export async function race<C>(
  contenders: readonly C[],
  { before, compete, phases }: RaceRules<C>,
): Promise<readonly { readonly contender: C; readonly finish: Finish; readonly won: boolean }[]> {
  interface Lane {
    readonly contender: C;
    readonly scope: CancellationScope;
    end?: Finish | { readonly kind: 'fault'; readonly error: unknown };
  }
  const lanes = contenders.map((contender): Lane => ({ contender, scope: new CancellationScope() }));
  const running = lanes.map(async (lane) => {
    try {
      lane.end = await lane.scope.run(() => compete(lane.contender));
    } catch (error) {
      lane.end =
        isCancellation(error) || lane.scope.consideredCancelled ? { kind: 'broken-off' } : { kind: 'fault', error };
    }
  });
  const isPast = ({ contender, end }: Lane) =>
    end === undefined
      ? phases(contender) > before.phases.length
      : end.kind === 'ended' && hasProgressed(before, end.outcome);
  const isFault = ({ end }: Lane) => end?.kind === 'fault';
  let winner: Lane | undefined;
  try {
    await condition(() => lanes.some((lane) => isPast(lane) || isFault(lane)) || lanes.every(({ end }) => end));
    if (!lanes.some(isFault)) winner = lanes.find(isPast);
  } finally {
    for (const lane of lanes) if (lane !== winner) lane.scope.cancel();
    await Promise.all(running);
  }
  return lanes.map((lane) => {
    const { contender, end: finish = { kind: 'broken-off' } } = lane;
    if (finish.kind === 'fault') throw finish.error;
    return { contender, finish, won: lane === winner };
  });
}
