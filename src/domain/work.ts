/** What every long step is given: when to stop, and whom to tell what it is doing. */
export interface Work {
  readonly signal: AbortSignal;
  /** One line for people, at least every few seconds of a long step. */
  readonly progress: (message: string) => void;
}
