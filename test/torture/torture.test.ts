import { expect, test } from 'vitest';
import { planOf, type PlanSize } from './plan.js';
import { canBeTortured, LONG, SIZE, torture } from './started-torture.js';

const seed = Math.floor(Math.random() * 1e9);
/** Of these a fresh seed has one. */
const KINDS: readonly Pick<PlanSize, 'hosts' | 'server'>[] = [
  { hosts: 1, server: 'file' },
  { hosts: 2, server: 'file' },
  { hosts: 1, server: 'postgres' },
];
const kind = KINDS[seed % KINDS.length] as (typeof KINDS)[number];

test('the same numbers give the same plan, others another', () => {
  expect(planOf({ seed: 7, ...SIZE })).toEqual(planOf({ seed: 7, ...SIZE }));
  expect(planOf({ seed: 8, ...SIZE })).not.toEqual(planOf({ seed: 7, ...SIZE }));
});

test.runIf(await canBeTortured())(
  `seed ${seed}, a fresh one, hosts ${kind.hosts}, server ${kind.server}: no invariant is broken`,
  LONG,
  () => torture({ seed, ...SIZE, ...kind }),
);
