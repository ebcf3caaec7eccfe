import { ApplicationFailure } from '@temporalio/common';
import { workflowInfo, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { WORKFLOWS } from '../domain/names.js';
import {
  isRefused,
  orderFor,
  orderIn,
  readable,
  resultOf,
  sealedId,
  signalOf,
  startOf,
  startOrder,
  stepOf,
  UNSEALED,
} from '../domain/order.js';

/**
 * Workflows do only what was ordered with the worker's key, for them, and once: a start without
 * such an order fails at once, a signal without one does nothing, and what a step or another
 * workflow gave counts only if it was sealed too.
 */
export const interceptors: WorkflowInterceptorsFactory = () => {
  const obeyed = new Set<string>();
  return {
    inbound: [
      {
        async execute(input, next) {
          const { workflowType, workflowId } = workflowInfo();
          const order = orderIn(startOf(workflowType), input.args);
          // What was sealed for a schedule is for its firings only.
          const isItsOwn = workflowType === WORKFLOWS.scheduled || sealedId(workflowId) === workflowId;
          if (!order || !isItsOwn) throw unsealed(`the start of ${workflowType} was not ordered with the worker's key`);
          return next({ ...input, args: [...order.values] });
        },
        async handleSignal(input, next) {
          const order = orderIn(signalOf(input.signalName), input.args);
          if (order?.once === undefined || obeyed.has(order.once)) return;
          obeyed.add(order.once);
          await next({ ...input, args: [...order.values] });
        },
      },
    ],
    outbound: [
      {
        async scheduleActivity(input, next) {
          const { activityType, options } = input;
          const summary = options.summary === undefined ? {} : { summary: readable(options.summary) };
          const args = [orderFor(stepOf(activityType), input.args)];
          const result = orderIn(resultOf(activityType), [
            await next({ ...input, args, options: { ...options, ...summary } }),
          ]);
          if (!result) throw unsealed(`the result of ${activityType} was not sealed with the worker's key`);
          return result.values[0];
        },
        async startChildWorkflowExecution(input, next) {
          const { workflowType, options } = input;
          const [started, ended] = await next({ ...input, options: startOrder(workflowType, options) });
          return [started, ended.then((result) => sealedResult(workflowType, result))];
        },
        continueAsNew(input, next) {
          return next({ ...input, args: [orderFor(startOf(input.options.workflowType), input.args)] });
        },
      },
    ],
  };
};

function sealedResult(workflowType: string, result: unknown): unknown {
  if (isRefused(result)) throw unsealed(`the result of ${workflowType} was not sealed with the worker's key`);
  return result;
}

function unsealed(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: UNSEALED, message, nonRetryable: true });
}
