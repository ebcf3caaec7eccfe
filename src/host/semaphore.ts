/** Lets so many go on side by side. The others wait, and come in the order in which they asked. */
export interface Semaphore {
  /**
   * Runs `body` when it is its turn.
   * @param onWait called once where it is not yet, with how many are before it
   * @throws the signal's reason while it waits
   */
  run<T>(signal: AbortSignal, body: () => Promise<T>, onWait?: (before: number) => void): Promise<T>;
}

export function createSemaphore(sideBySide: number): Semaphore {
  let free = sideBySide;
  const waiting = new Set<() => void>();

  async function takeTurn(signal: AbortSignal, onWait?: (before: number) => void): Promise<void> {
    signal.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    onWait?.(waiting.size);
    await new Promise<void>((resolve, reject) => {
      const go = () => {
        signal.removeEventListener('abort', giveUp);
        resolve();
      };
      const giveUp = () => {
        waiting.delete(go);
        reject(signal.reason as Error);
      };
      waiting.add(go);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  /** Who waits longest has the turn that ends. */
  function endTurn(): void {
    const [next] = waiting;
    if (next === undefined) free += 1;
    else {
      waiting.delete(next);
      next();
    }
  }

  return {
    async run(signal, body, onWait) {
      await takeTurn(signal, onWait);
      try {
        return await body();
      } finally {
        endTurn();
      }
    },
  };
}
