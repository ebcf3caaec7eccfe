import { connectClient, type ServerLink } from '../client.js';
import { serverFromEnvironment } from '../server-address.js';
import { sealingKey } from '../temporal/key.js';
import { findStack, joinStack } from '../stack/join.js';
import type { Session } from './session.js';

/** A server in use by a command. Disposing ends the connection, and a local stack that nobody else needs. */
export interface ServerUse extends AsyncDisposable {
  readonly link: ServerLink;
  /** The Temporal UI's page of a workflow, where we know the UI. */
  uiOf(workflowId: string): string | undefined;
  /** Keeps a local stack until that suite has ended, whatever becomes of this process. */
  holdFor(suite: string): Promise<void>;
}

/** The server the environment names, else this home's local stack, started where it does not run. */
export async function useServer(session: Session): Promise<ServerUse> {
  const elsewhere = serverFromEnvironment();
  if (elsewhere) return remote(await connectClient(elsewhere, await sealingKey(session.layout)));
  const key = await sealingKey(session.layout);
  const stack = await joinStack({ layout: session.layout, work: session });
  try {
    const link = await connectClient({ address: stack.address, namespace: stack.namespace }, key);
    return {
      link,
      uiOf: (workflowId) => `${stack.uiUrl}/namespaces/${stack.namespace}/workflows/${workflowId}`,
      holdFor: (suite) => stack.holdFor(suite),
      async [Symbol.asyncDispose]() {
        await link[Symbol.asyncDispose]();
        await stack[Symbol.asyncDispose]();
      },
    };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw error;
  }
}

/** The server to ask for what goes on now: undefined where none is named and no local stack runs. */
export async function serverAtHand(session: Session): Promise<ServerUse | undefined> {
  const elsewhere = serverFromEnvironment();
  if (elsewhere) return remote(await connectClient(elsewhere, await sealingKey(session.layout)));
  return (await findStack(session.layout)) ? useServer(session) : undefined;
}

function remote(link: ServerLink): ServerUse {
  const ui = process.env['TEMPORAL_UI_URL'];
  return {
    link,
    uiOf: (workflowId) => (ui ? `${ui}/namespaces/${link.namespace}/workflows/${workflowId}` : undefined),
    holdFor: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
