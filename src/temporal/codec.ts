import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import proto from '@temporalio/proto';
import { OF_A_SCHEDULE, readable, scheduleOf, type Refused } from '../domain/order.js';
import type { SealingKey } from './key.js';

const ENCODING = 'binary/nixproof-sealed';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/**
 * Seals every payload with the key for the workflow (and the step) that it belongs to: the server,
 * and others who reach it, can neither read nor make nor move one. Left readable is only what the
 * Temporal UI shows: summaries and current details, from which nothing is ever read. What cannot be
 * opened becomes `Refused`: an error here would have the server ask for ever.
 */
export function sealingCodec(key: SealingKey): PayloadCodec {
  return {
    encode: async (payloads, context) =>
      payloads.map((payload) => (isForTheUi(payload) ? payload : seal(key, payload, context))),
    decode: async (payloads, context) => payloads.map((payload) => open(key, payload, context) ?? refused(payload)),
  };
}

/** Seals one payload for where it belongs. */
export function seal(key: SealingKey, payload: Payload, context: SerializationContext | undefined): Payload {
  const place = placeOf(isOfASchedule(payload) ? scheduleIn(context) : context);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, keyFor(key, place), nonce).setAAD(place);
  const text = [cipher.update(PayloadMessage.encode(payload).finish()), cipher.final()];
  return {
    metadata: { encoding: Buffer.from(ENCODING), key: Buffer.from(key.id) },
    data: Buffer.concat([nonce, ...text, cipher.getAuthTag()]),
  };
}

/** The payload that was sealed for that place; undefined where it was not, or with another key. */
export function open(
  key: SealingKey,
  payload: Payload,
  context: SerializationContext | undefined,
): Payload | undefined {
  const { data } = payload;
  if (metadataOf(payload, 'encoding') !== ENCODING || !data || data.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const its = openFor(key, data, placeOf(context));
  if (its) return its;
  const shared = openFor(key, data, placeOf(scheduleIn(context)));
  return shared && isOfASchedule(shared) ? shared : undefined;
}

function openFor(key: SealingKey, data: Uint8Array, place: Buffer): Payload | undefined {
  const decipher = createDecipheriv(CIPHER, keyFor(key, place), data.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAAD(place).setAuthTag(data.subarray(-TAG_BYTES));
  try {
    const text = Buffer.concat([decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    const { metadata, data: content } = PayloadMessage.decode(text);
    return { metadata, data: content };
  } catch {
    return undefined;
  }
}

/**
 * Names the workflow, and the step where it is a step's, that a payload belongs to. A schedule's
 * memo belongs to none.
 */
function placeOf(context: SerializationContext | undefined): Buffer {
  if (!context) return Buffer.alloc(0);
  const step = context.type === 'activity' ? [context.activityId ?? null] : [];
  return Buffer.from(JSON.stringify([context.namespace, context.workflowId ?? '', ...step]));
}

/** The context of the schedule, where it is one of a firing. */
function scheduleIn(context: SerializationContext | undefined): SerializationContext | undefined {
  return context?.type === 'workflow' ? { ...context, workflowId: scheduleOf(context.workflowId) } : context;
}

const SHARED_BY_FIRINGS = OF_A_SCHEDULE.map((purpose) => Buffer.from(`{"purpose":${JSON.stringify(purpose)},`));

function isOfASchedule({ data }: Payload): boolean {
  return SHARED_BY_FIRINGS.some((start) => start.equals((data ?? Buffer.alloc(0)).subarray(0, start.length)));
}

/** A key for each place: random nonces of 96 bits are safe for 2^32 payloads of one key. */
function keyFor({ secret }: SealingKey, place: Buffer): Buffer {
  return createHmac('sha256', secret).update(place).digest();
}

const SHOWN = [JSON.stringify(readable('')).slice(0, -1), '{"definition":{"type":'].map((text) => Buffer.from(text));

/**
 * Summaries carry a mark; current details come as the answer to the SDK's own query for a
 * workflow's metadata.
 */
function isForTheUi(payload: Payload): boolean {
  const { data } = payload;
  if (!data || metadataOf(payload, 'encoding') !== 'json/plain') return false;
  return SHOWN.some((start) => start.equals(data.subarray(0, start.length)));
}

function metadataOf({ metadata }: Payload, name: string): string {
  return Buffer.from(metadata?.[name] ?? []).toString();
}

function refused(payload: Payload): Payload {
  const refusedKey = metadataOf(payload, 'key')
    .replace(/[^0-9a-f]/g, '')
    .slice(0, 8);
  const value: Refused = { refusedKey };
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(value)) };
}
