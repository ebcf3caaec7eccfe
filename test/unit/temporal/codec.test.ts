import { randomBytes } from 'node:crypto';
import type { Payload, SerializationContext } from '@temporalio/common';
import { expect, test } from 'vitest';
import { WORKFLOWS } from '../../../src/domain/names.js';
import { orderFor, readable, resultOf, startOf } from '../../../src/domain/order.js';
import { sealingCodec } from '../../../src/temporal/codec.js';
import type { SealingKey } from '../../../src/temporal/key.js';

const keyOf = (id: string): SealingKey => ({ secret: randomBytes(32), id, file: `/keys/${id}` });
const mine = sealingCodec(keyOf('aaaaaaaa'));
const theirs = sealingCodec(keyOf('bbbbbbbb'));

const run: SerializationContext = { type: 'workflow', namespace: 'default', workflowId: 'vm-1' };
const step: SerializationContext = {
  type: 'activity',
  namespace: 'default',
  workflowId: 'vm-1',
  activityId: '3',
  isLocal: false,
};

function json(value: unknown): Payload {
  return { metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(JSON.stringify(value)) };
}
const valueOf = ({ data }: Payload): unknown => JSON.parse(Buffer.from(data ?? []).toString());
const seal = async (value: unknown, context?: SerializationContext) =>
  (await mine.encode([json(value)], context))[0] as Payload;
const open = async (payload: Payload, context?: SerializationContext, codec = mine) =>
  valueOf((await codec.decode([payload], context))[0] as Payload);

test('what is sealed can be read with the key, and not without it', async () => {
  const sealed = await seal({ command: 'rm -rf /' }, run);
  expect(Buffer.from(sealed.data ?? []).includes('rm -rf')).toBe(false);
  expect(await open(sealed, run)).toEqual({ command: 'rm -rf /' });
  expect(await open(sealed, run, theirs)).toEqual({ refusedKey: 'aaaaaaaa' });
});

test('no two of the same look the same', async () => {
  expect((await seal('again', run)).data).not.toEqual((await seal('again', run)).data);
});

test.each<[string, SerializationContext, SerializationContext | undefined]>([
  ['another workflow', run, { ...run, workflowId: 'vm-2' }],
  ['another namespace', run, { ...run, namespace: 'other' }],
  ['a step of it', run, step],
  ['another step', step, { ...step, activityId: '4' }],
  ['no workflow', run, undefined],
  [
    'a firing of a schedule, from a run',
    { ...run, workflowId: 'nightly' },
    { ...run, workflowId: 'nightly-2026-11-30T02:00:00Z' },
  ],
])('what was sealed is refused for %s', async (_, from, to) => {
  expect(await open(await seal(1, from), to)).toEqual({ refusedKey: 'aaaaaaaa' });
});

const firing = (day: number) => ({ ...run, workflowId: `schedule-nightly-2026-11-${day}T02:00:00Z` });

test('the order of a schedule is for each of its firings, and the result of one for the next', async () => {
  const start = orderFor(startOf(WORKFLOWS.scheduled), ['suite']);
  const sealed = await seal(start, { ...run, workflowId: 'schedule-nightly' });
  expect(await open(sealed, firing(30))).toEqual(start);
  expect(await open(sealed, { ...run, workflowId: 'schedule-nightly-x' })).toEqual({ refusedKey: 'aaaaaaaa' });
  const result = orderFor(resultOf(WORKFLOWS.scheduled), ['passed'], firing(29).workflowId);
  expect(await open(await seal(result, firing(29)), firing(30))).toEqual(result);
});

test.each([
  orderFor(startOf(WORKFLOWS.suite), ['suite']),
  orderFor(resultOf(WORKFLOWS.suite), ['passed']),
  orderFor(resultOf('planScheduled'), ['pinned'], 'x'),
  'suite',
])('of a firing, %j is for that one alone', async (value) => {
  for (const its of [firing(29), { ...run, workflowId: 'schedule-nightly' }]) {
    const sealed = await seal(value, its);
    expect(await open(sealed, its)).toEqual(value);
    expect(await open(sealed, firing(30))).toEqual({ refusedKey: 'aaaaaaaa' });
  }
});

test('what is not sealed, or was changed, is refused', async () => {
  const sealed = await seal('whole', run);
  const { data, metadata = null } = sealed;
  const flipped = Buffer.from(data ?? []);
  flipped[20] = (flipped[20] ?? 0) ^ 1;
  expect(await open({ metadata, data: flipped }, run)).toEqual({ refusedKey: 'aaaaaaaa' });
  for (const broken of [
    json('plain'),
    json(readable('shown')),
    { metadata, data: Buffer.alloc(5) },
    { metadata },
    {},
  ]) {
    expect(await open(broken, run)).toHaveProperty('refusedKey');
  }
});

test('the key that a hostile payload names is no more than a key’s name', async () => {
  const named = {
    metadata: { encoding: Buffer.from('x'), key: Buffer.from('\u001b[2Jaaaa\n'.repeat(99)) },
    data: Buffer.alloc(0),
  };
  expect(await open(named, run)).toEqual({ refusedKey: '2aaaa2aa' });
});

test('what the Temporal UI shows is left readable', async () => {
  expect(valueOf(await seal(readable('attempt 1'), step))).toBe(readable('attempt 1'));
  const details = { definition: { type: 'profileTest' }, currentDetails: '### vm' };
  expect(valueOf(await seal(details, run))).toEqual(details);
});
