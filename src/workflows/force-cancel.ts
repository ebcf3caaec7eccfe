import { CancellationScope, condition, defineSignal, setHandler, sleep } from '@temporalio/workflow';
import { SIGNALS } from '../domain/names.js';

const forceSignal = defineSignal(SIGNALS.force);

/** Takes the signal `force`: from then on nothing is waited for that only tidies up. */
export function createForceCancel() {
  let forced = false;
  setHandler(forceSignal, () => {
    forced = true;
  });
  return {
    /** Does a step; cancels it `graceMs` after the end was forced. @throws CancelledFailure then */
    async unless(graceMs: number, step: () => Promise<void>): Promise<void> {
      const scope = new CancellationScope();
      let ended = false;
      const breakOff = async () => {
        await condition(() => forced || ended);
        if (ended) return;
        if (graceMs > 0) await sleep(graceMs);
        scope.cancel();
      };
      const breaking = CancellationScope.cancellable(breakOff).catch(() => undefined);
      try {
        await scope.run(step);
      } finally {
        ended = true;
        void breaking;
      }
    },
  };
}
