import { condition, defineSignal, setHandler } from '@temporalio/workflow';
import { SIGNALS } from '../domain/names.js';

const pauseSignal = defineSignal(SIGNALS.pause);
const resumeSignal = defineSignal(SIGNALS.resume);

/** A person's wish that nothing new is begun for now. What has begun goes on to its end. */
export interface PauseGate {
  readonly paused: boolean;
  /** Resolves when the next step may be begun; at once where nobody asked for a pause. */
  go(): Promise<void>;
}

/** Takes the signals `pause` and `resume` for this workflow. `onChange` is called when either changes something. */
export function createPauseGate(onChange: () => void): PauseGate {
  let paused = false;
  const turn = (wanted: boolean) => () => {
    if (paused === wanted) return;
    paused = wanted;
    onChange();
  };
  setHandler(pauseSignal, turn(true));
  setHandler(resumeSignal, turn(false));
  return {
    get paused() {
      return paused;
    },
    async go() {
      // No wait at all where nobody paused: nothing changes for histories from before there were pauses.
      if (paused) await condition(() => !paused);
    },
  };
}
