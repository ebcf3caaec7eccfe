import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { WorkflowFailedError, type ClientOptions, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, type DataConverter } from '@temporalio/common';
import type { ActivityInterceptorsFactory, WorkerOptions } from '@temporalio/worker';
import { NixproofError } from '../domain/error.js';
import {
  answerOf,
  isRefused,
  orderFor,
  orderIn,
  questionOf,
  resultOf,
  signalOf,
  startOrder,
  stepOf,
  UNSEALED,
  type Order,
} from '../domain/order.js';
import { sealingCodec } from './codec.js';
import type { SealingKey } from './key.js';

const FAILURES = fileURLToPath(new URL('../../assets/failures.cjs', import.meta.url));

/** What a client is made with: all that it sends is sealed with the key. */
export function sealedClient(key: SealingKey): Pick<ClientOptions, 'dataConverter' | 'interceptors'> {
  return { dataConverter: dataConverter(key), interceptors: CLIENT };
}

/** What a worker is made with: its workflows and steps do only what was ordered with the key. */
export function sealedWorker(key: SealingKey): Pick<WorkerOptions, 'dataConverter' | 'interceptors'> {
  return { dataConverter: dataConverter(key), interceptors: { client: CLIENT, activity: [obeyOrders] } };
}

function dataConverter(key: SealingKey): DataConverter {
  return { payloadCodecs: [sealingCodec(key)], failureConverterPath: FAILURES };
}

/**
 * What a server gave, where it was sealed with our key.
 * @throws NixproofError `SERVER_KEY_DIFFERS`
 */
export function ours<T>(value: T): T {
  if (!isRefused(value)) return value;
  const { refusedKey } = value;
  const what = refusedKey === '' ? 'is not sealed' : `is sealed with another key, ${refusedKey}, or for another run`;
  throw keyDiffers(`what the Temporal server has ${what}`);
}

/**
 * The result of a workflow.
 * @throws NixproofError `SERVER_KEY_DIFFERS`, also where its worker refused its start for that
 */
export async function sealedResult<T>(handle: WorkflowHandle, workflowType: string): Promise<T> {
  try {
    const result: unknown = await handle.result();
    return valueIn(resultOf(workflowType), result, await firstExecution(handle)) as T;
  } catch (error) {
    const { cause } = error instanceof WorkflowFailedError ? error : {};
    if (!(cause instanceof ApplicationFailure)) throw error;
    if (cause.type === 'REQUEST_REPLAYED') throw new NixproofError(cause.type, cause.message, { cause: error });
    if (cause.type !== UNSEALED) throw error;
    throw keyDiffers(`a worker refused ${handle.workflowId}: it does not have the key of who started it`);
  }
}

/** The id of the execution with which a workflow began that may have continued in others since. */
async function firstExecution(handle: Pick<WorkflowHandle, 'describe'>): Promise<string> {
  const { raw } = await handle.describe();
  return raw.workflowExecutionInfo?.firstRunId ?? '';
}

/** What was sealed for that purpose. @throws NixproofError `SERVER_KEY_DIFFERS` */
function valueIn(purpose: string, arrived: unknown, once?: string): unknown {
  const order = orderIn(purpose, [ours(arrived)], once);
  if (!order) throw keyDiffers(`what the Temporal server has was not sealed as the ${purpose}`);
  return order.values[0];
}

function keyDiffers(message: string): NixproofError {
  return new NixproofError('SERVER_KEY_DIFFERS', message, {
    hint: 'clients and workers of one server need one key: copy keys/sealing.key from one home, and name the copy in NIXPROOF_KEY_FILE',
  });
}

const CLIENT: NonNullable<ClientOptions['interceptors']> = {
  workflow: [
    {
      startWithDetails: (input, next) => next({ ...input, options: startOrder(input.workflowType, input.options) }),
      query: async (input, next) => {
        const question = orderFor(questionOf(input.queryType), input.args, randomUUID());
        return valueIn(answerOf(input.queryType), await next({ ...input, args: [question] }), question.once);
      },
      signal: (input, next) => {
        const { runId } = input.workflowExecution;
        const order = signalOrder(input.signalName, input.args);
        return next({ ...input, args: [runId === undefined ? order : { ...order, execution: runId }] });
      },
      signalWithStart: (input, next) =>
        next({
          ...input,
          signalArgs: [signalOrder(input.signalName, input.signalArgs)],
          options: startOrder(input.workflowType, input.options),
        }),
    },
  ],
  schedule: [
    {
      create: (input, next) => {
        const { action } = input.options;
        return next({ ...input, options: { ...input.options, action: startOrder(action.workflowType, action) } });
      },
    },
  ],
};

function signalOrder(signal: string, values: readonly unknown[]): Order {
  return orderFor(signalOf(signal), values, randomUUID());
}

const obeyOrders: ActivityInterceptorsFactory = ({ info: { activityType } }) => ({
  inbound: {
    async execute(input, next) {
      const order = orderIn(stepOf(activityType), input.args);
      if (!order) {
        const message = `the step ${activityType} was not ordered with this worker's key`;
        throw ApplicationFailure.create({ type: UNSEALED, message, nonRetryable: true });
      }
      const result = await next({ ...input, args: [...order.values] });
      return orderFor(resultOf(activityType), [result], order.once);
    },
  },
});
