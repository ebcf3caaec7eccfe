import type { Payload, SerializationContext } from '@temporalio/common';
import type { ServerLink } from '../../src/client.js';
import { open } from '../../src/temporal/codec.js';
import type { SealingKey } from '../../src/temporal/key.js';

/**
 * Everything that the history of a workflow says, for one who has the key. Fails where it has a
 * seal of another key.
 */
export async function openedHistory(link: ServerLink, key: SealingKey, workflowId: string): Promise<string> {
  const { namespace } = link;
  const { events } = await link.client.workflow.getHandle(workflowId).fetchHistory();
  const steps = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes?.activityId ?? []);
  const children = (events ?? []).flatMap(
    (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId ?? [],
  );
  const places: SerializationContext[] = [
    ...[workflowId, ...children].map((id) => ({ type: 'workflow' as const, namespace, workflowId: id })),
    ...steps.map((activityId) => ({ type: 'activity' as const, namespace, workflowId, activityId, isLocal: false })),
  ];
  const opened = (payload: Payload): string => {
    for (const place of places) {
      const content = open(key, payload, place);
      if (content) return textOf(content);
    }
    throw new Error(`${workflowId} has a payload that the key does not open`);
  };
  const textOf = (value: unknown): string => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('utf8');
    if (typeof value === 'string') return value;
    if (typeof value !== 'object' || value === null) return '';
    if (isSealed(value)) return opened(value);
    return Object.values(value).map(textOf).join('\n');
  };
  return textOf(events);
}

function isSealed(value: object): value is Payload {
  const encoding = (value as Partial<Payload>).metadata?.['encoding'];
  return encoding !== undefined && Buffer.from(encoding).toString() === 'binary/nixproof-sealed';
}
