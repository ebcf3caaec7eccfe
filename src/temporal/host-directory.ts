import { WorkflowNotFoundError, type Client, type WorkflowExecutionDescription } from '@temporalio/client';
import proto from '@temporalio/proto';
import { hostWorkflow, type HostInfo, type HostRecord, type HostStatus } from '../domain/host.js';
import { isRefused } from '../domain/order.js';
import { build } from '../host/version.js';
import { NixproofError } from '../domain/error.js';
import { hostTaskQueue, isName, SHARED_TASK_QUEUE, SIGNALS, WORKFLOWS } from '../domain/names.js';

/**
 * The hosts of a Temporal server: a workflow for each holds what its worker said of it, its task queue's pollers tell whether that
 * worker is there. Nothing else is needed, and no heartbeat is written down.
 */

/** A poll is held open for a minute; who has not asked again after this is gone. */
const GONE_AFTER_MS = 90_000;

/**
 * Tells the directory of this host. Told again it says the same. An entry of this host that another
 * key seals is of a worker that is gone (`requireSameKey` has asked): it makes room.
 */
export async function announceHost(client: Client, info: HostInfo): Promise<void> {
  const found = await describeHost(client, info.host);
  if (found?.status.name === 'RUNNING' && isRefused(found.memo?.['host'])) await endEntry(client, info.host);
  await client.workflow.signalWithStart(WORKFLOWS.host, {
    workflowId: hostWorkflow(info.host),
    taskQueue: SHARED_TASK_QUEUE,
    args: [{ ...info, drained: false } satisfies HostRecord],
    signal: SIGNALS.here,
    signalArgs: [info],
    memo: { host: { ...info, drained: false } },
    staticSummary: `host ${info.host}`,
  });
}

/** What the directory has of one host; undefined where it does not know it. */
export async function hostRecord(client: Client, host: string): Promise<HostRecord | undefined> {
  const found = await describeHost(client, host);
  const record = found?.memo?.['host'] as HostRecord | undefined;
  // Others who reach the server may have started a workflow of that name: it is no host of ours.
  return found?.status.name === 'RUNNING' && !isRefused(record) && record?.host === host ? record : undefined;
}

/** Whether somebody has said of a host that it is gone for good, and no worker of it has started since. */
export async function isForgotten(client: Client, host: string): Promise<boolean> {
  return (await describeHost(client, host))?.status.name === 'COMPLETED';
}

async function describeHost(client: Client, host: string): Promise<WorkflowExecutionDescription | undefined> {
  try {
    return await client.workflow.getHandle(hostWorkflow(host)).describe();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  }
}

/**
 * Every host that was not forgotten, by name.
 * @throws NixproofError `SERVER_KEY_DIFFERS` where all that are there have another key
 */
export async function listHosts(client: Client): Promise<readonly HostStatus[]> {
  const found: HostStatus[] = [];
  for await (const { workflowId } of hostWorkflows(client)) {
    const record = await hostRecord(client, workflowId.slice(hostWorkflow('').length));
    if (record) found.push(await statusOf(client, record));
  }
  if (found.length === 0) await requireSameKey(client);
  return found.sort((a, b) => a.host.localeCompare(b.host));
}

/**
 * To be asked before a worker starts, for one with another key than the workers that are there would
 * refuse their runs; and where nothing is there for this key.
 * @throws NixproofError `SERVER_KEY_DIFFERS`
 */
export async function requireSameKey(client: Client): Promise<void> {
  for await (const { workflowId, memo } of hostWorkflows(client)) {
    const record = memo?.['host'];
    const host = workflowId.slice(hostWorkflow('').length);
    // What was not sealed at all is of no worker of this version.
    if (!isRefused(record) || record.refusedKey === '' || !isAlive(await lastSeen(client, host))) continue;
    const known = isName(host) ? host : 'a host';
    throw new NixproofError(
      'SERVER_KEY_DIFFERS',
      `a worker of ${known} has another key (${record.refusedKey}) than this one`,
      {
        hint: `clients and workers of one server need one key: copy keys/sealing.key from one home, and name the copy in NIXPROOF_KEY_FILE; a worker that has ended counts as there for ${GONE_AFTER_MS / 1000} s`,
        details: { key: record.refusedKey },
      },
    );
  }
}

function hostWorkflows(client: Client) {
  return client.workflow.list({ query: `WorkflowType = '${WORKFLOWS.host}' AND ExecutionStatus = 'Running'` });
}

async function statusOf(client: Client, record: HostRecord): Promise<HostStatus> {
  const last = await lastSeen(client, record.host);
  const seen = last === 0 ? {} : { lastSeen: new Date(last).toISOString() };
  return { ...record, ...seen, alive: isAlive(last) };
}

function isAlive(lastSeenAt: number): boolean {
  return Date.now() - lastSeenAt < GONE_AFTER_MS;
}

/** When a host's worker asked for work last, milliseconds since the epoch; 0: not lately. */
async function lastSeen(client: Client, host: string): Promise<number> {
  const pollers = await pollersOf(client, hostTaskQueue(host));
  return Math.max(0, ...pollers.map(({ lastMs }) => lastMs));
}

/**
 * Who asked a task queue for activities in the last minutes, and when, milliseconds since the
 * epoch.
 */
async function pollersOf(
  client: Client,
  taskQueue: string,
): Promise<readonly { readonly identity: string; readonly lastMs: number }[]> {
  const { pollers } = await client.connection.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: proto.temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
  });
  return pollers.map(({ identity, lastAccessTime }) => ({
    identity: identity ?? '',
    lastMs: Number(lastAccessTime?.seconds ?? 0) * 1000,
  }));
}

/** The identities of the workers that poll the queue which all workers share. */
export async function livePollers(client: Client): Promise<readonly string[]> {
  const pollers = await pollersOf(client, SHARED_TASK_QUEUE);
  return pollers.filter(({ lastMs }) => isAlive(lastMs)).map(({ identity }) => identity);
}

/**
 * Takes a host out of the directory that another key seals; false where there is none.
 * @throws NixproofError `SERVER_HOST_ALIVE` where its worker is there
 */
export async function forgetSealed(client: Client, host: string): Promise<boolean> {
  const found = await describeHost(client, host);
  if (found?.status.name !== 'RUNNING' || !isRefused(found.memo?.['host'])) return false;
  if (isAlive(await lastSeen(client, host))) {
    throw new NixproofError(
      'SERVER_HOST_ALIVE',
      `a worker of ${host} asked for work in the last ${GONE_AFTER_MS / 1000} s, with another key than yours`,
      {
        hint: `end that worker; ${GONE_AFTER_MS / 1000} s later its host counts as gone`,
        details: { host },
      },
    );
  }
  await endEntry(client, host);
  return true;
}

async function endEntry(client: Client, host: string): Promise<void> {
  try {
    await client.workflow.getHandle(hostWorkflow(host)).terminate('its key is not in use any more');
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
  }
}

/** What is wished of a host: that it gets no more runs, or some again; that it is forgotten. */
export type HostWish = { readonly kind: 'drain'; readonly drained: boolean } | { readonly kind: 'forget' };

/** Says whether a host is to get runs, or that it is gone for good; false where the directory does not know it. */
export async function signalHost(client: Client, host: string, wish: HostWish): Promise<boolean> {
  if (!(await hostRecord(client, host))) return false;
  const handle = client.workflow.getHandle(hostWorkflow(host));
  if (wish.kind === 'forget') await handle.signal(SIGNALS.forget);
  else await handle.signal(SIGNALS.drain, wish.drained);
  return true;
}

/**
 * What a worker calls itself to its server. It ends in its build, so that others see whose code
 * takes their tasks.
 */
export function workerIdentity(hostId: string): string {
  return `${hostId}@${process.pid} ${build}`;
}

/**
 * What to say where workers of other builds poll the shared queue too; undefined where there are
 * none.
 */
export async function otherBuildsNote(client: Client): Promise<string | undefined> {
  const others = (await livePollers(client)).filter((identity) => !identity.endsWith(` ${build}`));
  if (others.length === 0) return undefined;
  return `workers of other builds take tasks from this server too: ${others.join(', ')}; this is ${build}: run the same build on all hosts`;
}
