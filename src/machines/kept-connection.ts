import type { NixproofError } from '../domain/error.js';
import { openConnection } from './connection.js';
import type { Connection, Endpoint, Work } from './machine.js';

/** A machine's connection: kept while it lasts, opened again where it was lost. */
export interface KeptConnection extends AsyncDisposable {
  get(work: Work): Promise<Connection>;
  /** Takes one that is open already, as a boot leaves it; it is closed where another is still in use. */
  adopt(connection: Connection): Promise<void>;
}

/** @param first one that is open already */
export function keepConnection(open: (work: Work) => Promise<Connection>, first?: Connection): KeptConnection {
  let current = first && Promise.resolve(first);
  const inUse = async () => {
    const before = await current?.catch(() => undefined);
    return before?.isOpen ? before : undefined;
  };
  return {
    get(work) {
      // Each waits for who asked before: two at once get the same one.
      const before = inUse();
      current = before.then((kept) => kept ?? open(work));
      return current;
    },
    async adopt(connection) {
      if (await inUse()) await connection[Symbol.asyncDispose]();
      else current = Promise.resolve(connection);
    },
    async [Symbol.asyncDispose]() {
      const before = inUse();
      current = undefined;
      await (await before)?.[Symbol.asyncDispose]();
    },
  };
}

/** A machine of this host whose host key is learned when a system first presents one. */
export interface PinningMachine {
  endpoint(): Promise<Endpoint>;
  /** Undefined until a system has presented its key. */
  hostKey(): string | undefined;
  saveHostKey(hostKey: string): Promise<void>;
  isRunning(): Promise<boolean>;
  gone(cause: unknown): NixproofError;
}

/** Its connection, and what pins its key. */
export interface PinnedConnection extends KeptConnection {
  /** The first key an installed system presents is its key from then on. @throws Error for another one */
  readonly pin: (presented: string) => Promise<void>;
}

/** @param first one that is open already */
export function keepPinnedConnection(machine: PinningMachine, first?: Connection): PinnedConnection {
  const pin = async (presented: string) => {
    if (machine.hostKey() === undefined) await machine.saveHostKey(presented);
    if (machine.hostKey() !== presented) throw new Error('another host key than at the first attempt');
  };
  const open = async ({ signal }: Work): Promise<Connection> => {
    try {
      return await openConnection(await machine.endpoint(), { signal, onHostKey: pin });
    } catch (error) {
      signal.throwIfAborted();
      if (await machine.isRunning()) throw error;
      throw machine.gone(error);
    }
  };
  return { ...keepConnection(open, first), pin };
}
