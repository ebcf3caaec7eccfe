import { afterAll, beforeAll, expect, test } from 'vitest';
import type { AttemptOutcome } from '../../src/domain/attempt.js';
import type { RunRequest } from '../../src/domain/run.js';
import { DEADLINE_MS } from '../e2e/bench.js';
import { candidate, checkpointed, endless, openGround, placeOn, succeeded, type Ground, type Steps } from './hosts.js';

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
}, DEADLINE_MS);
afterAll(() => ground[Symbol.asyncDispose](), DEADLINE_MS);

/** A run whose first attempt fails, with two heals for it. @param follow the attempt of a race on this machine */
async function raceOn(
  host: string,
  follow: (machine: string | undefined) => Promise<AttemptOutcome>,
  more: Steps = {},
) {
  const { did } = await ground.host(host, {
    followInstaller: (request: RunRequest, { number }) =>
      number === 1 ? Promise.resolve(checkpointed) : follow(request.machine),
    planHeals: (_request, _attempt, _diagnoses, { tried }) =>
      Promise.resolve(['x', 'y'].filter((name) => !tried.includes(name)).map(candidate)),
    forkMachine: (_request, forks) => Promise.resolve(forks.map(({ machine }) => machine)),
    ...more,
  });
  const run = `${host}-20261128-000000-0000`;
  const { ended } = await ground.begin({ run }, () => Promise.resolve(placeOn(host)));
  return { run, did, report: await ended() };
}

test.concurrent('the first proved heal’s machine is the run’s; what was broken off goes', async () => {
  const { run, did, report } = await raceOn('first', (machine) =>
    machine === undefined ? endless() : Promise.resolve(succeeded),
  );
  const copy = `${run}-h2`;
  expect(report).toMatchObject({ verdict: 'healed', machine: copy, heals: [{ name: 'y', outcome: 'worked' }] });
  expect(report.notes).toContain('heals tried side by side: x, y; first: y; broken off: x');
  expect(did.slice(did.indexOf('releaseMachine destroy'))).toEqual([
    'releaseMachine destroy',
    `restartInstalled ${copy}`,
    `verify ${copy}`,
    `collect ${copy}`,
    `releaseMachine destroy ${copy}`,
    `writeReports ${copy}`,
  ]);
});

test.concurrent('where none gets past the failure the run stays where it was, and has failed', async () => {
  const applyHeal: Steps['applyHeal'] = ({ machine }) =>
    Promise.resolve({ ok: machine === undefined, said: 'no such file', files: 0 });
  const { run, did, report } = await raceOn('none', () => Promise.resolve(checkpointed), { applyHeal });
  expect(report).toMatchObject({
    verdict: 'failed',
    heals: [
      { name: 'x', outcome: 'no-effect' },
      { name: 'y', outcome: 'failed', reason: 'its commands failed: no such file' },
    ],
  });
  expect(report.machine).toBeUndefined();
  expect(did.slice(did.indexOf(`releaseMachine destroy ${run}-h2`) + 1)).toEqual([
    'planHeals',
    'collect',
    'releaseMachine destroy',
    'writeReports',
  ]);
});
