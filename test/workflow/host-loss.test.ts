import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inActivity } from '../../src/activities/step/temporal.js';
import type { Loss } from '../../src/activities/place/place-run.js';
import { NixproofError } from '../../src/domain/error.js';
import { DEADLINE_MS, LONG, reached } from '../e2e/bench.js';
import { candidate, checkpointed, endless, openGround, placeOn, type Ground, type Host } from './hosts.js';

let ground: Ground;
beforeAll(async () => {
  ground = await openGround();
}, DEADLINE_MS);
afterAll(() => ground[Symbol.asyncDispose](), DEADLINE_MS);

/** Places a run on the first of these hosts, and on the next with each one that is lost; keeps what it was asked with. */
function inTurn(...hosts: readonly string[]) {
  const losses: Loss[] = [];
  const place = (_request: unknown, loss?: Loss) => {
    if (loss) losses.push(loss);
    const host = hosts[losses.length];
    if (host !== undefined) return Promise.resolve(placeOn(host));
    throw ApplicationFailure.create({ type: 'HOST_LOST', message: 'nobody can have it', nonRetryable: true });
  };
  return { losses, place };
}

const backAgain = async (id: string, did: readonly string[]): Promise<void> => {
  const host = await ground.host(id);
  await reached(`what ${id} had left to do`, () => Promise.resolve(host.did.length >= did.length));
  expect(host.did).toEqual(did);
};

test.concurrent(
  'lost in a race of heals: nothing of it goes along, its machines go when it is back',
  LONG,
  async () => {
    const first: Host = await ground.host('race-a', {
      followInstaller: () => Promise.resolve(checkpointed),
      planHeals: () => Promise.resolve(['x', 'y'].map(candidate)),
      forkMachine: (_request, forks) => {
        void first.leave();
        return Promise.resolve(forks.map(({ machine }) => machine));
      },
    });
    await ground.host('race-b');
    const { losses, place } = inTurn('race-a', 'race-b');
    const { run, ended } = await ground.begin({ run: 'race-20261128-000000-0000' }, place);
    const report = await ended();
    expect(report).toMatchObject({ verdict: 'passed', host: 'race-b', attempts: 1, heals: [], failures: [] });
    expect(report.machine).toBeUndefined();
    expect(report.notes).toContain('host race-a was lost while healing, side by side: x, y; it goes on on race-b');
    // Two steps side by side, one question.
    expect(losses).toEqual([{ held: 'race-a', before: [] }]);
    await backAgain('race-a', ['releaseMachine destroy', `releaseMachine destroy ${run}-h2`, 'writeReports']);
  },
);

test.concurrent(
  'lost while it finishes with --keep: the verdict stays, the machine is kept where it is',
  LONG,
  async () => {
    const first: Host = await ground.host('keep-a', {
      verify: () => {
        void first.leave();
        return Promise.resolve([]);
      },
    });
    const second = await ground.host('keep-b');
    const { place } = inTurn('keep-a', 'keep-b');
    const { ended } = await ground.begin({ run: 'keep-20261128-000000-0000', keep: 'always' }, place);
    const report = await ended();
    expect(report).toMatchObject({ verdict: 'passed', host: 'keep-b', artifacts: '/runs of keep-b', attempts: 1 });
    expect(report.notes).toContain('host keep-a was lost while collecting logs; it goes on on keep-b');
    expect(second.did).toEqual(['writeReports']);
    await backAgain('keep-a', ['releaseMachine keep', 'writeReports']);
  },
);

test.concurrent('three losses are the run’s own fault; it tells each time which hosts it has lost', LONG, async () => {
  const last = await ground.host('three-d');
  const { losses, place } = inTurn('three-a', 'three-b', 'three-c', 'three-d');
  const { ended } = await ground.begin({ run: 'three-20261128-000000-0000' }, place);
  const report = await ended();
  expect(losses.map(({ held, before }) => [held, ...before])).toEqual([
    ['three-a'],
    ['three-b', 'three-a'],
    ['three-c', 'three-a', 'three-b'],
  ]);
  expect(report).toMatchObject({
    verdict: 'error',
    host: 'three-d',
    fault: { code: 'HOST_LOST', message: expect.stringMatching(/^host three-c was lost while /) as string },
  });
  expect(last.did).toEqual(['writeReports']);
  await backAgain('three-a', ['releaseMachine destroy', 'writeReports']);
});

test.concurrent(
  'its time is up while its host is gone, though nobody knew: no word on the configuration',
  LONG,
  async () => {
    const first: Host = await ground.host('late-a', {
      deploy: () => {
        void first.leave();
        return Promise.resolve({ files: 0, bytes: 0 } as never);
      },
    });
    const { losses, place } = inTurn('late-a');
    const { ended } = await ground.begin(
      { run: 'late-20261128-000000-0000', timeoutMs: 30_000, keep: 'failed' },
      place,
    );
    const report = await ended();
    expect(losses).toEqual([{ held: 'late-a', before: [], late: true }]);
    expect(report).toMatchObject({
      verdict: 'error',
      failures: [],
      fault: {
        code: 'HOST_LOST',
        message: 'host late-a was lost, and the run’s 30 s were up while starting the installer',
      },
    });
    expect(report.notes).toContain('host late-a does what is left to do when it is there');
    await backAgain('late-a', ['releaseMachine keep', 'writeReports']);
  },
);

test.concurrent(
  'its time is up on another host than it began on: no word on the configuration, either',
  LONG,
  async () => {
    const second = await ground.host('again-b', { startInstaller: endless });
    const { losses, place } = inTurn('again-a', 'again-b');
    const { ended } = await ground.begin({ run: 'again-20261128-000000-0000', timeoutMs: 75_000 }, place);
    const report = await ended();
    expect(losses).toHaveLength(1);
    expect(report).toMatchObject({
      verdict: 'error',
      host: 'again-b',
      failures: [],
      fault: { message: 'host again-a was lost, and the run’s 75 s were up while starting the installer' },
    });
    expect(second.did.slice(-3)).toEqual(['collect', 'releaseMachine destroy', 'writeReports']);
  },
);

test.concurrent('its time is up before there is a host for it', LONG, async () => {
  const { ended } = await ground.begin(
    { run: 'none-20261128-000000-0000', timeoutMs: 1000 },
    () => Context.current().cancelled,
  );
  expect(await ended()).toMatchObject({
    verdict: 'error',
    failures: [],
    fault: {
      code: 'HOST_NONE',
      message: 'there was no host for it, and the run’s 1 s were up while looking for a host',
    },
  });
});

test.concurrent('a machine that does not go is told of, and goes later', LONG, async () => {
  let tries = 0;
  const releaseMachine = () => {
    tries += 1;
    const fault = new NixproofError('MACHINE_COMMAND_FAILED', 'it does not go');
    return inActivity(() => (tries > 6 ? Promise.resolve() : Promise.reject(fault)));
  };
  const host = await ground.host('stays-a', { releaseMachine });
  const { place } = inTurn('stays-a');
  const { ended } = await ground.begin({ run: 'stays-20261128-000000-0000' }, place);
  const report = await ended();
  expect(report.verdict).toBe('passed');
  expect(report.notes).toEqual([
    'a machine',
    'MACHINE_COMMAND_FAILED: it does not go',
    'host stays-a does what is left to do when it is there',
  ]);
  const left = ground.bench.link.client.workflow.getHandle('stays-20261128-000000-0000-left-on-stays-a');
  await left.result();
  expect(host.did.filter((step) => step === 'releaseMachine destroy')).toHaveLength(7);
});
