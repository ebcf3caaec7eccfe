import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import proto, { type temporal } from '@temporalio/proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { QUERIES, SHARED_TASK_QUEUE, SIGNALS, WORKFLOWS } from '../../src/domain/names.js';
import { orderFor, resultOf, signalOf, startOf } from '../../src/domain/order.js';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteRequest } from '../../src/domain/suite.js';
import { waitUntil } from '../../src/host/process.js';
import { seal } from '../../src/temporal/codec.js';
import { sealedResult } from '../../src/temporal/sealing.js';
import { testKey } from '../test-key.js';
import { endless, openGround, placeOn, requestOf, type Going, type Ground, type Host } from './hosts.js';

/** Someone who reaches the Temporal server, and has not the key. */
let stranger: Client;
let ground: Ground;
let host: Host;
/** Lets the runs continue that wait in their first step. */
let open: () => void;
let gate: Promise<void>;
/** Runs whose checks never end. */
const hangs = new Set(['forged']);

beforeAll(async () => {
  ground = await openGround();
  const { address, namespace } = ground.bench.link;
  stranger = new Client({ connection: await Connection.connect({ address }), namespace });
  close();
  host = await ground.host('one', {
    cloneMachine: async (request) => {
      if (request.run.startsWith('ended-before')) {
        throw ApplicationFailure.create({ type: 'REQUEST_REPLAYED', message: 'it has ended', nonRetryable: true });
      }
      await gate;
      return { detail: 'a machine' };
    },
    collect: (request) => tidied('collect', request.run),
    writeReports: (request) => tidied('writeReports', request.run),
    releaseMachine: (request) => tidied('releaseMachine', request.run),
    verify: (request) => (hangs.has(request.run) ? endless() : Promise.resolve([])),
  });
});
afterAll(async () => {
  await stranger.connection.close();
  await ground[Symbol.asyncDispose]();
});

function close(): void {
  gate = new Promise((resolve) => (open = resolve));
}

/** What was done to tidy up behind the run that had ended before. */
const ended: string[] = [];
function tidied(step: string, run: string): Promise<void> {
  if (run === 'ended-before') ended.push(step);
  return Promise.resolve();
}

type Payloads = temporal.api.common.v1.IPayload[];

/** What anyone who reaches the server can read of a workflow. */
async function recorded(workflowId: string) {
  const { events } = await stranger.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).map((event) => ({
    start: event.workflowExecutionStartedEventAttributes?.input?.payloads,
    signal: event.workflowExecutionSignaledEventAttributes?.input?.payloads,
    stepResult: event.activityTaskCompletedEventAttributes?.result?.payloads,
    result: event.workflowExecutionCompletedEventAttributes?.result?.payloads,
  }));
}

/**
 * Does a workflow's task in the place of its worker: ends it with payloads as they are, or as they
 * are made for its execution, whose id it gives.
 */
async function answerFor(
  workflowType: string,
  workflowId: string,
  result: Payloads | ((execution: string) => Promise<Payloads>),
): Promise<string> {
  const { namespace } = stranger.options;
  const taskQueue = { name: `strangers-${workflowId}` };
  const { workflowService } = stranger;
  const { runId } = await workflowService.startWorkflowExecution({
    namespace,
    workflowId,
    workflowType: { name: workflowType },
    taskQueue,
    requestId: `again-${workflowId}`,
  });
  const payloads = typeof result === 'function' ? await result(runId) : result;
  const { taskToken } = await stranger.connection.withDeadline(Date.now() + 30_000, () =>
    workflowService.pollWorkflowTaskQueue({ namespace, taskQueue }),
  );
  const commandType = proto.temporal.api.enums.v1.CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
  await workflowService.respondWorkflowTaskCompleted({
    namespace,
    taskToken,
    commands: [{ commandType, completeWorkflowExecutionCommandAttributes: { result: { payloads } } }],
  });
  return runId;
}

/** The id of a run's pending step `verify`. */
async function verifying(run: string): Promise<string> {
  let id: string | null | undefined;
  const found = await waitUntil(async () => {
    const { raw } = await stranger.workflow.getHandle(run).describe();
    id = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'verify')?.activityId;
    return id !== undefined;
  }, 30_000);
  expect(found).toBe(true);
  return id ?? '';
}

/** Starts a workflow with payloads as they are. */
async function replay(workflowType: string, workflowId: string, payloads: Payloads) {
  await stranger.workflowService.startWorkflowExecution({
    namespace: stranger.options.namespace,
    workflowId,
    workflowType: { name: workflowType },
    taskQueue: { name: SHARED_TASK_QUEUE },
    input: { payloads },
    requestId: workflowId + workflowType,
  });
}

async function sendSignal(workflowId: string, signalName: string, payloads: Payloads) {
  await stranger.workflowService.signalWorkflowExecution({
    namespace: stranger.options.namespace,
    workflowExecution: { workflowId },
    signalName,
    input: { payloads },
  });
}

/**
 * The type of the failure that a workflow ended with, as anyone who reaches the server reads it.
 */
async function failureOf(workflowId: string): Promise<string | null | undefined> {
  const handle = stranger.workflow.getHandle(workflowId);
  await waitUntil(async () => (await handle.describe()).status.name !== 'RUNNING', 30_000);
  const { events } = await handle.fetchHistory();
  const failure = events?.at(-1)?.workflowExecutionFailedEventAttributes?.failure;
  return failure?.message === 'Encoded failure' ? failure.applicationFailureInfo?.type : undefined;
}

/** All bytes and texts in a message, one after the other. */
function textIn(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (typeof value === 'object' && value !== null) return Object.values(value).map(textIn).join('\n');
  return String(value);
}

const begin = (run: string): Promise<Going> => ground.begin({ run }, () => Promise.resolve(placeOn('one')));

function suiteOf(run: string): SuiteRequest {
  const { profile, driver } = requestOf({});
  return {
    suite: 's',
    profiles: [{ ...profile, driver }],
    runs: [{ run, profile: 0, faults: [] }],
    parallel: 1,
    keep: 'never',
    searchAttributes: false,
    retryErrors: 2,
  };
}

/** A run that waits in its first step. */
async function waiting(run: string): Promise<Going> {
  const going = await begin(run);
  const handle = ground.bench.link.client.workflow.getHandle(run);
  const state = async () => (await handle.query<RunReport>(QUERIES.report)).state;
  expect(await waitUntil(async () => (await state()) === 'getting a pristine machine', 30_000)).toBe(true);
  return going;
}

const REQUEST = { run: 'crafted', suite: 'suite-crafted', profile: { install: { run: 'id > /tmp/owned' } } };

describe('someone without the key', () => {
  test.each([...Object.values(WORKFLOWS), 'leftBehind'])('starts %s, and nothing runs', async (workflowType) => {
    const before = host.did.length;
    const ways = { plain: [REQUEST], dressed: [orderFor(startOf(workflowType), [REQUEST])], nothing: [] };
    for (const [way, args] of Object.entries(ways)) {
      const workflowId = `crafted-${workflowType}-${way}`;
      await stranger.workflow.start(workflowType, { workflowId, taskQueue: SHARED_TASK_QUEUE, args });
      expect(await failureOf(workflowId)).toBe('REQUEST_UNSEALED');
    }
    expect(host.did.length).toBe(before);
  });

  test('replays a recorded request under another id, or as another workflow: it is refused', async () => {
    open();
    const going = await begin('schedule-honest');
    expect((await going.ended()).verdict).toBe('passed');
    close();
    const did = [...host.did];
    const payloads = (await recorded('schedule-honest')).flatMap(({ start }) => start ?? []);
    expect(payloads).toHaveLength(1);
    for (const [workflowType, workflowId] of [
      [WORKFLOWS.run, 'replayed'],
      [WORKFLOWS.run, 'schedule-honest-2026-11-30T02:00:00Z'],
      ['leftBehind', 'schedule-honest'],
    ] as const) {
      await replay(workflowType, workflowId, payloads);
      expect(await failureOf(workflowId)).toBe('REQUEST_UNSEALED');
    }
    expect(host.did).toEqual(did);
  });

  test('reads nothing of a run but what the Temporal UI shows', async () => {
    const going = await waiting('read');
    const { events } = await stranger.workflow.getHandle(going.run).fetchHistory();
    const text = textIn(events);
    expect(text).not.toContain('stallMs');
    expect(text).toContain('find a host for sandbox');
    open();
    await going.ended();
    close();
  });

  test('signals a run, with crafted, recorded or no payloads: it does nothing', async () => {
    const [paused, other] = [await waiting('paused'), await waiting('other')];
    const { workflow } = ground.bench.link.client;
    await workflow.getHandle(paused.run).signal(SIGNALS.pause);
    await workflow.getHandle(paused.run).signal(SIGNALS.resume);
    const [pause = []] = (await recorded(paused.run)).flatMap(({ signal }) => (signal ? [signal] : []));
    expect(pause).toHaveLength(1);
    for (const { run } of [paused, other]) {
      await sendSignal(run, SIGNALS.pause, pause);
      await sendSignal(run, SIGNALS.pause, []);
      await stranger.workflow.getHandle(run).signal(SIGNALS.pause);
      await stranger.workflow.getHandle(run).signal(SIGNALS.pause, orderFor(signalOf(SIGNALS.pause), [], 'x'));
    }
    open();
    expect((await paused.ended()).verdict).toBe('passed');
    expect((await other.ended()).verdict).toBe('passed');
    close();
  });

  test('gives the result of a step: the run ends in an error, and believes nothing of it', async () => {
    open();
    const going = await begin('forged');
    await stranger.activity.complete({ workflowId: going.run, activityId: await verifying(going.run) }, []);
    expect(await going.ended()).toMatchObject({ verdict: 'error', fault: { code: 'REQUEST_UNSEALED' } });
    close();
  });

  test('gives a step the result that it had in an earlier run of the same name: it is refused', async () => {
    open();
    const first = await begin('twice');
    expect((await first.ended()).verdict).toBe('passed');
    const events = await recorded('twice');
    const verified = events.flatMap(({ stepResult }) => (stepResult ? [stepResult] : []));
    hangs.add('twice');
    await replay(
      WORKFLOWS.run,
      'twice',
      events.flatMap(({ start }) => start ?? []),
    );
    const activityId = await verifying('twice');
    const { namespace } = stranger.options;
    const own = verified[Number(activityId) - 1];
    expect(own).toBeDefined();
    const result = { payloads: own ?? [] };
    await stranger.workflowService.respondActivityTaskCompletedById({
      namespace,
      workflowId: 'twice',
      activityId,
      result,
    });
    const again = ground.bench.link.client.workflow.getHandle('twice');
    expect(await sealedResult(again, WORKFLOWS.run)).toMatchObject({ verdict: 'error' });
    expect(await again.query(QUERIES.report)).toMatchObject({ fault: { code: 'REQUEST_UNSEALED' } });
    close();
  });

  test('begins a run again that has ended: nothing of it is written, collected or removed', async () => {
    open();
    const again = await begin('ended-before');
    const handle = ground.bench.link.client.workflow.getHandle(again.run);
    await expect(sealedResult(handle, WORKFLOWS.run)).rejects.toMatchObject({ code: 'REQUEST_REPLAYED' });
    expect(ended).toEqual([]);
    close();
  });

  test('begins a suite again whose run has ended: that is not retried under another name', async () => {
    const run = 'ended-before-20261128-000000-0000';
    await begin(run);
    const { client } = ground.bench.link;
    const first = client.workflow.getHandle(run);
    await expect(sealedResult(first, WORKFLOWS.run)).rejects.toMatchObject({ code: 'REQUEST_REPLAYED' });
    const { workflowType, args } = { workflowType: WORKFLOWS.suite, args: [suiteOf(run)] };
    const handle = await client.workflow.start(workflowType, { workflowId: 's', taskQueue: SHARED_TASK_QUEUE, args });
    expect(await sealedResult(handle, WORKFLOWS.suite)).toMatchObject({
      verdict: 'error',
      runs: [{ run, profile: 'one', driver: 'sandbox', verdict: 'error' }],
    });
  });

  test('sends an approval again to a run that was begun again: it does nothing', async () => {
    const { run } = await waiting('approved');
    const { client } = ground.bench.link;
    const { runId } = await client.workflow.getHandle(run).describe();
    await client.workflow.getHandle(run, runId).signal(SIGNALS.pause);
    const events = await recorded(run);
    await client.workflow.getHandle(run).terminate();
    await replay(
      WORKFLOWS.run,
      run,
      events.flatMap(({ start }) => start ?? []),
    );
    await sendSignal(
      run,
      SIGNALS.pause,
      events.flatMap(({ signal }) => signal ?? []),
    );
    open();
    expect(await sealedResult(client.workflow.getHandle(run), WORKFLOWS.run)).toMatchObject({ verdict: 'passed' });
    close();
  });

  test('answers a question with what answered an earlier one: it is not believed', async () => {
    const { client, namespace } = ground.bench.link;
    const { run } = await waiting('asked');
    const { workflowService } = stranger;
    const execution = { workflowId: run };
    const query = { queryType: QUERIES.report };
    const { queryResult } = await workflowService.queryWorkflow({ namespace, execution, query });
    expect(queryResult?.payloads).toHaveLength(1);
    await client.workflow.getHandle(run).terminate();
    const taskQueue = { name: 'strangers' };
    const workflowType = { name: WORKFLOWS.run };
    await workflowService.startWorkflowExecution({
      namespace,
      workflowId: run,
      workflowType,
      taskQueue,
      requestId: run,
    });
    const poll = () =>
      stranger.connection.withDeadline(Date.now() + 30_000, () =>
        workflowService.pollWorkflowTaskQueue({ namespace, taskQueue }),
      );
    const first = await poll();
    await workflowService.respondWorkflowTaskCompleted({ namespace, taskToken: first.taskToken, commands: [] });
    const asked = client.workflow
      .getHandle(run)
      .query(QUERIES.report)
      .catch((error: unknown) => error);
    const { taskToken } = await poll();
    const completedType = proto.temporal.api.enums.v1.QueryResultType.QUERY_RESULT_TYPE_ANSWERED;
    await workflowService.respondQueryTaskCompleted({
      namespace,
      taskToken,
      completedType,
      queryResult: queryResult ?? {},
    });
    expect(await asked).toMatchObject({ code: 'SERVER_KEY_DIFFERS' });
  });

  test('ends a workflow with its own earlier result: it is not believed', async () => {
    open();
    const { run, ended: over } = await begin('own');
    await over();
    close();
    const payloads = (await recorded(run)).flatMap(({ result }) => result ?? []);
    await answerFor(WORKFLOWS.run, run, payloads);
    await expect(sealedResult(ground.bench.link.client.workflow.getHandle(run), WORKFLOWS.run)).rejects.toMatchObject({
      code: 'SERVER_KEY_DIFFERS',
    });
  });

  test('ends a workflow with the result of another one: it is not believed', async () => {
    open();
    const { run, ended } = await begin('believed');
    await ended();
    close();
    const { client } = ground.bench.link;
    expect(await sealedResult(client.workflow.getHandle(run), WORKFLOWS.run)).toMatchObject({ verdict: 'passed' });
    const payloads = (await recorded(run)).flatMap(({ result }) => result ?? []);
    expect(payloads).toHaveLength(1);
    await answerFor(WORKFLOWS.run, 'not-believed', payloads);
    await expect(sealedResult(client.workflow.getHandle('not-believed'), WORKFLOWS.run)).rejects.toMatchObject({
      code: 'SERVER_KEY_DIFFERS',
    });
  });

  test('ends a firing of a schedule with the result of an earlier one: it is not believed', async () => {
    const { client, namespace } = ground.bench.link;
    const [first, second] = ['schedule-n-2026-11-29T02:00:00Z', 'schedule-n-2026-11-30T02:00:00Z'] as const;
    const resultOfFiring = (firing: string) => sealedResult(client.workflow.getHandle(firing), WORKFLOWS.scheduled);
    const sealedFor = async (execution: string) => {
      const order = orderFor(resultOf(WORKFLOWS.scheduled), [{ verdict: 'passed' }], execution);
      const plain = { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(order)) };
      return [seal(await testKey(), plain, { type: 'workflow', namespace, workflowId: first })];
    };
    const execution = await answerFor(WORKFLOWS.scheduled, first, sealedFor);
    expect(await resultOfFiring(first)).toEqual({ verdict: 'passed' });
    await answerFor(WORKFLOWS.scheduled, second, await sealedFor(execution));
    await expect(resultOfFiring(second)).rejects.toMatchObject({ code: 'SERVER_KEY_DIFFERS' });
  });
});
