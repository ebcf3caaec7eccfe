import type { Work } from '../../domain/work.js';

/** What `Intl` has no short form for: `3 s`, `1 min 20 s`. */
export function elapsedText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/**
 * Tells what a long step does, at its start where `atOnce`, then every few seconds with the time it has taken so far.
 * @param describe is asked each time, so that the line can say how far the step has come
 */
export async function withProgress<T>(
  work: Work,
  describe: () => string,
  step: () => Promise<T>,
  { atOnce = true, everyMs = 4000 }: { atOnce?: boolean; everyMs?: number } = {},
): Promise<T> {
  const start = performance.now();
  if (atOnce) work.progress(describe());
  const timer = setInterval(() => work.progress(`${describe()} (${elapsedText(performance.now() - start)})`), everyMs);
  try {
    return await step();
  } finally {
    clearInterval(timer);
  }
}
