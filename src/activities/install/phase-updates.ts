import type { InstallProgress } from '../../domain/attempt.js';

const FIRST_PAUSE_MS = 2000;
const GROWTH = 1.5;
/** Between what any two followers of this process pass on: each makes a task of the workflow's. */
const APART_MS = 50;
let nextOfAnyAt = -Infinity;

/**
 * Passes on changes of phase, few enough for a flat history: at most `budget`, each pause half as long again as the one
 * before. What is passed on is always the latest phase; it is asked again with the next tick.
 */
export function createPhaseUpdates(budget: number, send: (progress: InstallProgress) => void, now: () => number) {
  let left = budget;
  let sent = '';
  let notBefore = 0;
  let pause = FIRST_PAUSE_MS;
  return (progress: InstallProgress): void => {
    if (left <= 0 || progress.phase === sent || now() < notBefore) return;
    if (performance.now() < nextOfAnyAt) return;
    nextOfAnyAt = performance.now() + APART_MS;
    left -= 1;
    sent = progress.phase;
    notBefore = now() + pause;
    pause *= GROWTH;
    send(progress);
  };
}
