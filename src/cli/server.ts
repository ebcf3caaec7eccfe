import { connectClient, type ServerLink } from '../client.js';
import { NixproofError } from '../domain/error.js';
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

/**
 * The server to ask for open runs, or, if there is none to ask, the state shown of those runs.
 */
export type AtHand = { readonly server: ServerUse } | { readonly server?: never; readonly state: string };

/** Without a named server: the local stack, where one of this installation runs. */
export async function serverAtHand(session: Session): Promise<AtHand> {
  const elsewhere = serverFromEnvironment();
  if (elsewhere) return { server: remote(await connectClient(elsewhere, await sealingKey(session.layout))) };
  if (!(await findStack(session.layout))) return { state: 'interrupted: `nixproof up` goes on with it' };
  try {
    return { server: await useServer(session) };
  } catch (error) {
    if (!(error instanceof NixproofError) || error.code !== 'SERVER_OTHER_INSTALLATION') throw error;
    session.progress(`${error.message}\nhint: ${error.hint ?? ''}`);
    return { state: 'in the stack of another installation' };
  }
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
