import { ApplicationFailure } from '@temporalio/common';
import { uuid4, workflowInfo, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import { WORKFLOWS } from '../domain/names.js';
import {
  answerOf,
  orderFor,
  orderIn,
  readable,
  resultOf,
  scheduleOf,
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
          const isItsOwn = workflowType === WORKFLOWS.scheduled || scheduleOf(workflowId) === workflowId;
          if (!order || !isItsOwn) throw unsealed(`the start of ${workflowType} was not ordered with the worker's key`);
          return orderFor(resultOf(workflowType), [await next({ ...input, args: [...order.values] })], workflowId);
        },
        async handleQuery(input, next) {
          const answer = await next(input);
          // The SDK's own, which the Temporal UI shows.
          return input.queryName.startsWith('__') ? answer : orderFor(answerOf(input.queryName), [answer]);
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
          const once = uuid4();
          const args = [orderFor(stepOf(activityType), input.args, once)];
          const result = await next({ ...input, args, options: { ...options, ...summary } });
          return resultIn(activityType, result, once);
        },
        async startChildWorkflowExecution(input, next) {
          const { workflowType, options } = input;
          const [started, ended] = await next({ ...input, options: startOrder(workflowType, options) });
          return [started, ended.then((result) => resultIn(workflowType, result, options.workflowId))];
        },
        continueAsNew(input, next) {
          return next({ ...input, args: [orderFor(startOf(input.options.workflowType), input.args)] });
        },
      },
    ],
  };
};

/** What a step or a workflow gave, where it was sealed as the result of that one. */
function resultIn(type: string, arrived: unknown, once: string): unknown {
  const result = orderIn(resultOf(type), [arrived], once);
  if (!result) throw unsealed(`the result of ${type} was not sealed with the worker's key`);
  return result.values[0];
}

function unsealed(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: UNSEALED, message, nonRetryable: true });
}
