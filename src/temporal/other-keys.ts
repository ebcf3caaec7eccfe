import type { Client } from '@temporalio/client';
import { hostWorkflow } from '../domain/host.js';
import { isName, WORKFLOWS } from '../domain/names.js';
import { isRefused } from '../domain/order.js';
import type { ServerLink } from './connection.js';
import { scheduleId } from './schedules.js';

/** What of a server may be sealed with another key. */
export const SEALED_KINDS = ['suites', 'hosts', 'schedules'] as const;
export type SealedKind = (typeof SEALED_KINDS)[number];

/** What a server has that our key does not open. */
export interface OtherKeys {
  /** Ids of the keys, each once. */
  readonly keys: readonly string[];
  /** Names of what was asked for; of suites, the newest only. */
  readonly names: Readonly<Record<SealedKind, readonly string[]>>;
}

/** How many suites are looked at. */
const NEWEST = 100;

/**
 * What of a server is sealed with other keys than the link's. What is not sealed at all is of no
 * nixproof and is left out, as are names that none of ours could have: others who reach the server
 * start what they like.
 */
export async function otherKeys(
  { client, key }: ServerLink,
  kinds: readonly SealedKind[] = SEALED_KINDS,
): Promise<OtherKeys> {
  const keys = new Set<string>();
  const names: Record<SealedKind, string[]> = { suites: [], hosts: [], schedules: [] };
  for (const kind of kinds) {
    let seen = 0;
    for await (const { name, memo } of FOUND[kind](client)) {
      if (++seen > NEWEST && kind === 'suites') break;
      const other = Object.values(memo ?? {}).find(isRefused)?.refusedKey ?? '';
      if (other === '' || other === key.id || !isName(name)) continue;
      keys.add(other);
      names[kind].push(name);
    }
    names[kind].sort();
  }
  return { keys: [...keys].sort(), names };
}

interface Found {
  readonly name: string;
  readonly memo?: Readonly<Record<string, unknown>> | undefined;
}

const FOUND: Readonly<Record<SealedKind, (client: Client) => AsyncIterable<Found>>> = {
  suites: (client) => workflows(client, `WorkflowType = '${WORKFLOWS.suite}'`),
  hosts: (client) =>
    workflows(client, `WorkflowType = '${WORKFLOWS.host}' AND ExecutionStatus = 'Running'`, hostWorkflow('')),
  schedules: scheduled,
};

async function* workflows(client: Client, query: string, prefix = ''): AsyncGenerator<Found> {
  for await (const { workflowId, memo } of client.workflow.list({ query, pageSize: NEWEST }))
    yield { name: workflowId.slice(prefix.length), memo };
}

async function* scheduled(client: Client): AsyncGenerator<Found> {
  for await (const { scheduleId: id, memo, action } of client.schedule.list())
    if (action?.workflowType === WORKFLOWS.scheduled) yield { name: id.slice(scheduleId('').length), memo };
}
