import { CancelledFailure } from '@temporalio/common';

/**
 * The world of a workflow, as small as its decisions need it, in the test's own process: conditions that are looked at each turn
 * of the event loop, scopes that can be cancelled, pauses that take no time. The real one is in test/workflow.
 */
export const world = {
  handlers: new Map<string, (...args: never[]) => unknown>(),
  details: '',
  paused: [] as number[],
  attributes: [] as string[],
  continueAsNewSuggested: false,
  /** Runs a child workflow. */
  child: undefined as unknown as (type: string, options: { readonly workflowId: string }) => unknown,
  /** Does an activity. */
  activity: undefined as unknown as (name: string, args: readonly unknown[], options: object) => unknown,
  reset() {
    world.handlers.clear();
    [world.details, world.paused, world.attributes, world.continueAsNewSuggested] = ['', [], [], false];
  },
  signal: (name: string, ...args: readonly unknown[]) => world.handlers.get(name)?.(...(args as never[])),
};

/** Thrown where a workflow goes on in another execution. */
export class ContinuedAsNew extends Error {
  readonly args: readonly unknown[];
  constructor(args: readonly unknown[]) {
    super('continued as new');
    this.args = args;
  }
}

export class CancellationScope {
  static readonly #root = new CancellationScope();
  static current = () => CancellationScope.#root;
  static nonCancellable = <T>(step: () => Promise<T>) => step();
  consideredCancelled = false;
  readonly #cancels: ((error: Error) => void)[] = [];
  run<T>(step: () => Promise<T>): Promise<T> {
    return Promise.race([step(), new Promise<never>((_, reject) => this.#cancels.push(reject))]);
  }
  cancel() {
    this.consideredCancelled = true;
    for (const cancel of this.#cancels) cancel(new CancelledFailure('cancelled'));
  }
}

/** A condition with a time-out is given that many turns. */
export async function condition(holds: () => boolean, timeoutMs = Infinity): Promise<boolean> {
  for (let turn = 0; turn < timeoutMs; turn++) {
    if (holds()) return true;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return holds();
}

/** What stands for `@temporalio/workflow`. @param original loads that, for its constants */
export const workflowModule = async (original: () => Promise<object>) => ({
  ...(await original()),
  CancellationScope,
  condition,
  isCancellation: (error: unknown) => error instanceof CancelledFailure,
  sleep: async (ms: number) => void world.paused.push(ms),
  defineSignal: (name: string) => ({ name }),
  defineQuery: (name: string) => ({ name }),
  setHandler: ({ name }: { readonly name: string }, handler: () => unknown) => void world.handlers.set(name, handler),
  setCurrentDetails: (details: string) => (world.details = details),
  upsertSearchAttributes: (pairs: readonly { readonly value: string }[]) =>
    world.attributes.push(...pairs.map(({ value }) => value)),
  workflowInfo: () => ({ workflowId: 'w', historyLength: 5, continueAsNewSuggested: world.continueAsNewSuggested }),
  continueAsNew: (...args: readonly unknown[]) => Promise.reject(new ContinuedAsNew(args)),
  executeChild: async (type: string, options: never) => world.child(type, options),
  startChild: async ({ name }: { readonly name: string }, options: never) => world.child(name, options),
  proxyActivities: (options: object) =>
    new Proxy(
      {},
      {
        get: (_, name: string) => ({
          executeWithOptions: async (more: object, args: readonly never[]) =>
            world.activity(name, args, { ...options, ...more }),
        }),
      },
    ),
});
