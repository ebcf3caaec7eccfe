import type { Heal } from '../../domain/heal.js';
import { planOf } from './shell.js';

/** For attempts that nothing in the guest brought to their end: going back and running again is all there is to do. */
export const ENDS: readonly Heal[] = [
  {
    name: 'run-again-after-a-kill',
    for: ['unknown'],
    scope: 'files',
    title: 'Run again what was killed from outside',
    confidence: 0.75,
    plan: ({ diagnosis }) => (diagnosis.rule === 'end/killed' ? planOf({}) : undefined),
  },
  {
    name: 'bring-the-machine-back',
    for: ['unknown'],
    scope: 'files',
    title: 'Bring the machine that stopped back from its checkpoint',
    confidence: 0.9,
    plan: ({ diagnosis }) => (diagnosis.rule === 'end/machine-lost' ? planOf({}) : undefined),
  },
];
