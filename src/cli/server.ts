import { connectClient, type ServerLink } from '../client.js';
import { hasCode, type ErrorCode } from '../domain/error.js';
import { serverFromEnvironment } from '../temporal/server-address.js';
import type { OtherKeys, SealedKind } from '../temporal/other-keys.js';
import { sealingKey } from '../temporal/key.js';
import { findStack, joinStack } from '../stack/membership/join.js';
import { hasDatabase, stackKey } from '../stack/membership/stack-key.js';
import type { Session } from './session.js';

/** A server in use by a command. Disposing ends the connection, and a local stack that nobody else needs. */
export interface ServerUse extends AsyncDisposable {
  readonly link: ServerLink;
  /** Whether it is this home's local stack, which has a worker of its own. */
  readonly isLocal: boolean;
  /** The Temporal UI's page of a workflow, where we know the UI. */
  uiOf(workflowId: string): string | undefined;
  /** Keeps a local stack until that suite has ended, whatever becomes of this process. */
  holdFor(suite: string): Promise<void>;
}

/** The server the environment names, else this home's local stack, started where it does not run. */
export async function useServer(session: Session): Promise<ServerUse> {
  const elsewhere = serverFromEnvironment();
  if (elsewhere) return remote(await connectClient(elsewhere, await sealingKey(session.layout)));
  const key = await stackKey(session.layout);
  const stack = await joinStack({ layout: session.layout, work: session });
  try {
    const link = await connectClient({ address: stack.address, namespace: stack.namespace }, key);
    return {
      link,
      isLocal: true,
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

/** What is shown of an open run of this home that its server does not have. */
export const FORGOTTEN = 'the Temporal server does not know it: `nixproof cancel RUN` ends it';

/**
 * The server to ask for open runs, or, if there is none to ask, the state shown of those runs.
 */
export type AtHand = { readonly server: ServerUse } | { readonly server?: never; readonly state: string };

/** Why the local stack cannot be asked, and what is shown of open runs then. */
const STATES_WITHOUT: Readonly<Record<ErrorCode, string>> = {
  SERVER_OTHER_INSTALLATION: 'in the stack of another installation',
  SERVER_KEY_DIFFERS: 'sealed with a key that is not here',
};

/** Without a named server: the local stack, where one of this installation runs. */
export async function serverAtHand(session: Session): Promise<AtHand> {
  const elsewhere = serverFromEnvironment();
  if (elsewhere) return { server: remote(await connectClient(elsewhere, await sealingKey(session.layout))) };
  if (!(await findStack(session.layout))) {
    const hasHistory = await hasDatabase(session.layout);
    return { state: hasHistory ? 'interrupted: `nixproof up` goes on with it' : FORGOTTEN };
  }
  try {
    return { server: await useServer(session) };
  } catch (error) {
    if (!hasCode(error, ...(Object.keys(STATES_WITHOUT) as ErrorCode[]))) throw error;
    session.progress(`${error.message}\nhint: ${error.hint ?? ''}\ncode: ${error.code}`);
    return { state: STATES_WITHOUT[error.code] ?? '' };
  }
}

/** Says what of that kind is not shown, because another key seals it. */
export async function noteOtherKeys(session: Session, link: ServerLink, kind: SealedKind): Promise<void> {
  const { otherKeys } = await import('../temporal/other-keys.js');
  const found = await otherKeys(link, [kind]);
  if (found.names[kind].length === 0) return;
  const names = kind === 'suites' ? '' : `: ${found.names[kind].join(', ')}`;
  session.progress(`${otherKeysText(found)}${names}\nhint: ${OTHER_KEYS_HINT}`);
}

export const OTHER_KEYS_HINT = 'to reach what another key seals, name the file that has that key in NIXPROOF_KEY_FILE';

/** In words, such as `2 suites, 1 host of this server are sealed with another key (12ab34cd)`. */
export function otherKeysText({ keys, names }: OtherKeys): string {
  const counts = Object.entries(names).filter(([, { length }]) => length > 0);
  const total = counts.reduce((sum, [, { length }]) => sum + length, 0);
  const parts = counts.map(([kind, { length }]) => `${length} ${length === 1 ? kind.slice(0, -1) : kind}`).join(', ');
  return `${parts} of this server ${total === 1 ? 'is' : 'are'} sealed with another key (${keys.join(', ')})`;
}

function remote(link: ServerLink): ServerUse {
  const ui = process.env['TEMPORAL_UI_URL'];
  return {
    link,
    isLocal: false,
    uiOf: (workflowId) => (ui ? `${ui}/namespaces/${link.namespace}/workflows/${workflowId}` : undefined),
    holdFor: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}
