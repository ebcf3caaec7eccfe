import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inActivity, WORKER_SHUTDOWN } from '../../src/activities/step/temporal.js';
import { NixproofError } from '../../src/domain/error.js';
import { DEADLINE_MS, LONG } from '../e2e/bench.js';
import { openGround, placeOn, type Ground } from './hosts.js';

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
}, DEADLINE_MS);
afterAll(() => ground[Symbol.asyncDispose](), DEADLINE_MS);

/** What a try of a step comes to: its worker ends in order, it falls silent, the step has a fault, or does well. */
type Try = 'handed over' | 'silent' | 'fault' | 'well';

/** A run whose machine is made in these tries. */
async function tried(host: string, ...tries: readonly Try[]) {
  let next = 0;
  const { did } = await ground.host(host, {
    cloneMachine: async () => {
      const end = tries[next++];
      if (end === 'handed over') throw ApplicationFailure.create({ type: WORKER_SHUTDOWN, message: end });
      if (end === 'silent') await Context.current().cancelled;
      return inActivity(() =>
        end === 'well'
          ? Promise.resolve({ detail: 'a machine' })
          : Promise.reject(new NixproofError('MACHINE_X', 'no')),
      );
    },
  });
  const { ended } = await ground.begin({ run: `${host}-20261128-000000-0000` }, () => Promise.resolve(placeOn(host)));
  const report = await ended();
  return { report, tries: did.filter((step) => step === 'cloneMachine').length };
}

const times = (count: number, end: Try): readonly Try[] => Array<Try>(count).fill(end);

test.concurrent('a step that is handed over six times, or falls silent, is none that failed', LONG, async () => {
  const { report, tries } = await tried('over', 'silent', ...times(6, 'handed over'), 'well');
  expect({ verdict: report.verdict, tries }).toEqual({ verdict: 'passed', tries: 8 });
});

test.concurrent('a step has five tries with faults of its own', LONG, async () => {
  const { report, tries } = await tried('five', ...times(6, 'fault'));
  expect(report).toMatchObject({ verdict: 'error', fault: { code: 'MACHINE_X', message: 'no' } });
  expect(tries).toBe(5);
});

test.concurrent('what is handed over between them takes none away', LONG, async () => {
  const between = times(4, 'handed over');
  const { report, tries } = await tried('mixed', 'fault', ...between, ...times(3, 'fault'), 'handed over', 'well');
  expect({ verdict: report.verdict, tries }).toEqual({ verdict: 'passed', tries: 10 });
});
