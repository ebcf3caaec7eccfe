import { describe, test } from 'vitest';
import { canBeTortured, LONG, SIZE, torture } from './started-torture.js';

describe.runIf(await canBeTortured())('no invariant is broken', () => {
  test('seed 1', LONG, () => torture({ seed: 1, ...SIZE }));
  test('seed 2, two hosts', LONG, () => torture({ seed: 2, ...SIZE, hosts: 2 }));
  test('seed 3, on PostgreSQL', LONG, () => torture({ seed: 3, ...SIZE, server: 'postgres' }));
});
