import { CancellationScope, condition, isCancellation } from '@temporalio/workflow';
import type { AttemptOutcome } from '../domain/attempt.js';
import { gotPast } from '../healing/proof.js';

/** How one heal in a race came out, as far as it was let. */
export type Finish =
  | { readonly kind: 'ended'; readonly outcome: AttemptOutcome }
  /** It could not be applied. */
  | { readonly kind: 'failed'; readonly said: string }
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
 * later phase while it still goes on, or at its end. The others are broken off then, and the winner is followed to its end.
 * @returns each contender's finish in the order given, and which of them won
 */
export async function race<C>(
  contenders: readonly C[],
  { before, compete, phases }: RaceRules<C>,
): Promise<{ readonly finishes: readonly Finish[]; readonly winner: number | undefined }> {
  const lanes = contenders.map((contender) => {
    const scope = new CancellationScope();
    const lane: { readonly contender: C; readonly scope: CancellationScope; finish?: Finish; ended: Promise<void> } = {
      contender,
      scope,
      ended: Promise.resolve(),
    };
    lane.ended = scope
      .run(() => compete(contender))
      .catch((error: unknown): Finish => {
        if (isCancellation(error)) return { kind: 'broken-off' };
        throw error;
      })
      .then((finish) => {
        lane.finish = finish;
      });
    return lane;
  });
  const isPast = ({ contender, finish }: (typeof lanes)[number]) =>
    finish === undefined
      ? phases(contender) > before.phases.length
      : finish.kind === 'ended' && gotPast(before, finish.outcome);
  const decided = condition(() => lanes.some(isPast) || lanes.every(({ finish }) => finish !== undefined));
  try {
    await Promise.race([decided, ...lanes.map(({ ended }) => ended.then(() => decided))]);
  } catch (error) {
    // A fault of the bench on one of the machines ends the race as it ends any other step.
    for (const { scope } of lanes) scope.cancel();
    await Promise.allSettled(lanes.map(({ ended }) => ended));
    throw error;
  }
  const first = lanes.findIndex(isPast);
  for (const [index, { scope }] of lanes.entries()) if (first >= 0 && index !== first) scope.cancel();
  await Promise.all(lanes.map(({ ended }) => ended));
  return {
    finishes: lanes.map(({ finish }) => finish ?? { kind: 'broken-off' }),
    winner: first < 0 ? undefined : first,
  };
}
