import { WORKFLOWS } from './names.js';

/**
 * What is asked of a workflow or a step, or what it gave, for one purpose: a payload that was sealed
 * for one purpose is of no use for another. The codec (src/temporal/codec.ts) seals it for one workflow, and gives
 * `Refused` for what was not sealed with the key.
 */
export interface Order {
  readonly purpose: string;
  /**
   * Random, where the same order given twice must count once. An answer or a step's result has that
   * of its order, a workflow's result has the id of its first execution: it answers nothing else.
   */
  readonly once?: string;
  /** Of a signal: the execution of the workflow that it is for alone. */
  readonly execution?: string;
  readonly values: readonly unknown[];
}

export const startOf = (workflowType: string): string => `start ${workflowType}`;
export const signalOf = (signal: string): string => `signal ${signal}`;
export const stepOf = (activityType: string): string => `step ${activityType}`;
/** What a step or a workflow gave. */
export const resultOf = (type: string): string => `result ${type}`;
export const questionOf = (query: string): string => `question ${query}`;
export const answerOf = (query: string): string => `answer ${query}`;

/**
 * Stands for a payload that was not sealed with our key, or was sealed for another workflow or
 * step.
 */
export interface Refused {
  /** The id of the key that it says it was sealed with; empty where it was not sealed. */
  readonly refusedKey: string;
}

export function isRefused(value: unknown): value is Refused {
  return typeof value === 'object' && value !== null && 'refusedKey' in value;
}

/** Values are JSON: an `undefined` at the end stays one. */
export function orderFor(purpose: string, values: readonly unknown[], once?: string): Order {
  const given = values.slice(0, values.findLastIndex((value) => value !== undefined) + 1);
  return { purpose, ...(once === undefined ? {} : { once }), values: given };
}

/**
 * The order in what arrived; undefined where there is none for this purpose.
 * @param once the order's, where it has to be that one
 */
export function orderIn(purpose: string, arrived: readonly unknown[], once?: string): Order | undefined {
  const [order] = arrived as readonly (Partial<Order> | null | undefined)[];
  if (arrived.length !== 1 || order?.purpose !== purpose || !Array.isArray(order.values)) return undefined;
  return once === undefined || order.once === once ? (order as Order) : undefined;
}

/**
 * The id of the schedule that a workflow is a firing of: the server adds its time to it. Any other
 * id as it is.
 */
export function scheduleOf(workflowId: string): string {
  return workflowId.replace(/^(schedule-.*)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/, '$1');
}

/**
 * What belongs to all firings of a schedule: the order that starts each of them, and the result of
 * one, which the next one gets from the server.
 */
export const OF_A_SCHEDULE = [startOf(WORKFLOWS.scheduled), resultOf(WORKFLOWS.scheduled)] as const;

/**
 * Begins a text that the Temporal UI is to show: it is not sealed. Nothing is ever read from such a
 * text.
 */
const READABLE = '\u200b';

export function readable(text: string): string {
  return `${READABLE}${text}`;
}

/**
 * What a workflow is started with, as its options have it: its order in the place of its arguments,
 * and a summary that the UI can show.
 */
export function startOrder<O extends { readonly args?: readonly unknown[]; readonly staticSummary?: string }>(
  workflowType: string,
  options: O,
): Omit<O, 'args'> & { args: Order[] } {
  const { args = [], staticSummary } = options;
  return {
    ...options,
    args: [orderFor(startOf(workflowType), args)],
    ...(staticSummary === undefined ? {} : { staticSummary: readable(staticSummary) }),
  };
}

export const UNSEALED = 'REQUEST_UNSEALED';
