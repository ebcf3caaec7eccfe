import { ApplicationFailure } from '@temporalio/common';
import { uuid4, workflowInfo, type WorkflowInterceptorsFactory } from '@temporalio/workflow';
import {
  answerOf,
  orderFor,
  orderIn,
  questionOf,
  readable,
  resultOf,
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
          const { workflowType, firstExecutionRunId } = workflowInfo();
          const order = orderIn(startOf(workflowType), input.args);
          if (!order) throw unsealed(`the start of ${workflowType} was not ordered with the worker's key`);
          return orderFor(
            resultOf(workflowType),
            [await next({ ...input, args: [...order.values] })],
            firstExecutionRunId,
          );
        },
        async handleQuery(input, next) {
          const { queryName } = input;
          // The SDK's own, which the Temporal UI shows.
          if (queryName.startsWith('__')) return next(input);
          const question = orderIn(questionOf(queryName), input.args);
          const answer = await next({ ...input, args: [...(question?.values ?? [])] });
          return orderFor(answerOf(queryName), [answer], question?.once);
        },
        async handleSignal(input, next) {
          const order = orderIn(signalOf(input.signalName), input.args);
          if (order?.once === undefined || obeyed.has(order.once)) return;
          const { runId } = workflowInfo();
          if ((order.execution ?? runId) !== runId) return;
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
          const once = uuid4().slice(0, 13);
          const args = [orderFor(stepOf(activityType), input.args, once)];
          const result = await next({ ...input, args, options: { ...options, ...summary } });
          return resultIn(activityType, result, once);
        },
        async startChildWorkflowExecution(input, next) {
          const { workflowType, options } = input;
          const [started, ended] = await next({ ...input, options: startOrder(workflowType, options) });
          return [started, ended.then(async (result) => resultIn(workflowType, result, await started))];
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
