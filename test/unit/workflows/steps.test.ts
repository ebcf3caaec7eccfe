import { ActivityFailure, ApplicationFailure, CancelledFailure, TimeoutFailure } from '@temporalio/common';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { hostTaskQueue } from '../../../src/domain/names.js';
import type { RunReport, RunRequest } from '../../../src/domain/run.js';
import { healSteps, onMachine } from '../../../src/workflows/heal-steps.js';
import { clearLater, HostLost, leftBehind, stepsUntilLost } from '../../../src/workflows/lost-host.js';
import { detailsOfCancellation, faultOf, hostSteps, inTries } from '../../../src/workflows/steps.js';
import { world } from './workflow-world.js';

vi.mock(
  import('@temporalio/workflow'),
  async (original) => (await import('./workflow-world.js')).workflowModule(original) as never,
);

beforeEach(() => world.reset());

const failed = (cause: Error) => new ActivityFailure('failed', 'step', '1', 'IN_PROGRESS', 'w', cause);
const fault = (type: string, nonRetryable = true) =>
  failed(ApplicationFailure.create({ type, message: `${type}!`, nonRetryable }));
const timeout = (type: string) => failed(new TimeoutFailure('late', undefined, type as never));

/** A step that ends with these, one after the other; the last one for good. */
function stepOf(...ends: readonly unknown[]) {
  let tries = 0;
  const step = async () => {
    const end = ends[Math.min(tries++, ends.length - 1)];
    if (end instanceof Error) throw end;
    return end;
  };
  return { step, tries: () => tries };
}

describe('a step', () => {
  test('has five tries with a fault that another look may not find, with longer and longer pauses', async () => {
    const { step, tries } = stepOf(fault('MACHINE_X'));
    await expect(inTries(step)).rejects.toMatchObject({ cause: { type: 'MACHINE_X' } });
    expect([tries(), world.paused]).toEqual([5, [1000, 2000, 4000, 8000]]);
  });

  test.each<[string, Error, number]>([
    ['a machine’s fault', fault('MACHINE_X'), 2],
    ['a lost connection', fault('TRANSPORT_LOST'), 2],
    ['all its time taken', timeout('START_TO_CLOSE'), 2],
    ['a wrong configuration', fault('CONFIG_X'), 1],
    ['a machine that is gone', fault('MACHINE_GONE'), 1],
    ['a fault that the server has tried again itself', fault('MACHINE_X', false), 1],
    ['a worker that fell silent', timeout('HEARTBEAT'), 1],
    ['a cancellation', failed(new CancelledFailure('no')), 1],
    ['another error', new Error('odd'), 1],
  ])('after %s', async (_what, end, expected) => {
    const { step, tries } = stepOf(end, 'done');
    const ended = await inTries(step).catch((error: unknown) => error);
    expect([tries(), ended]).toEqual([expected, expected === 2 ? 'done' : end]);
  });

  test('says in a report what it failed with, and why it was cancelled', () => {
    expect(faultOf(fault('HOST_X'))).toEqual({ code: 'HOST_X', message: 'HOST_X!' });
    expect(detailsOfCancellation(failed(new CancelledFailure('no', ['why'])))).toEqual(['why']);
    expect(detailsOfCancellation(new CancelledFailure('no', ['why']))).toEqual(['why']);
    expect(detailsOfCancellation(fault('HOST_X'))).toEqual([]);
  });
});

const place = (host: string) => ({ host, taskQueue: `q-${host}`, artifacts: '' });
const request = { run: 'vm-1' } as RunRequest;

describe('a step on a host that may vanish', () => {
  /** @param steps what the step comes to, each time @param answers where the run may be, each time that is asked */
  function onHost(steps: readonly unknown[], answers: readonly unknown[], late = false) {
    const missed: boolean[] = [];
    const asked: unknown[] = [];
    const [step, answer] = [stepOf(...steps), stepOf(...answers)];
    world.activity = (name, args) => {
      if (name !== 'acquireMachine') return step.step();
      asked.push(args[1]);
      return answer.step();
    };
    const waiter = { request: () => request, before: ['old'], late, missed: (gone: boolean) => missed.push(gone) };
    const done = stepsUntilLost(place('a'), waiter).verify.executeWithOptions({}, [request]);
    return { done, missed, asked, tries: step.tries };
  }

  test('is done again where the host is there', async () => {
    const { done, missed, asked, tries } = onHost([timeout('SCHEDULE_TO_START'), 'green'], [place('a')]);
    expect(await done).toBe('green');
    expect({ missed, asked, tries: tries() }).toEqual({
      missed: [true, false],
      asked: [{ held: 'a', before: ['old'] }],
      tries: 2,
    });
  });

  test('says where the run goes on', async () => {
    const { done, missed, asked } = onHost([timeout('HEARTBEAT')], [place('b')], true);
    await expect(done).rejects.toMatchObject({ name: 'HostLost', next: { host: 'b' } });
    expect({ missed, asked }).toEqual({ missed: [true], asked: [{ held: 'a', before: ['old'], late: true }] });
  });

  test('says why the run can go on nowhere', async () => {
    const { done } = onHost([timeout('SCHEDULE_TO_START')], [fault('HOST_LOST')]);
    await expect(done).rejects.toMatchObject({
      name: 'HostLost',
      next: undefined,
      cause: { type: 'HOST_LOST' },
    });
    const { done: other } = onHost([timeout('SCHEDULE_TO_START')], [fault('CONFIG_X')]);
    await expect(other).rejects.toMatchObject({ cause: { type: 'CONFIG_X' } });
  });

  test('whose workers die again and again on a host that is there fails', async () => {
    const { done, missed } = onHost([timeout('HEARTBEAT')], [place('a')]);
    await expect(done).rejects.toMatchObject({ cause: { timeoutType: 'HEARTBEAT' } });
    expect(missed).toEqual([true, false]);
  });

  test.each([fault('CONFIG_X'), timeout('SCHEDULE_TO_CLOSE'), new CancelledFailure('no'), new Error('odd')])(
    'that ends with %s asks nothing',
    async (error) => {
      const { done, asked } = onHost([error], [place('b')]);
      await expect(done).rejects.toBe(error);
      expect(asked).toEqual([]);
    },
  );

  test('is on its host’s queue', async () => {
    let queue: unknown;
    world.activity = (_name, _args, options) => {
      queue = options;
    };
    await hostSteps('q-a').verify.executeWithOptions({}, [request]);
    expect(queue).toMatchObject({ taskQueue: 'q-a', heartbeatTimeout: 10_000, scheduleToStartTimeout: 45_000 });
  });
});

describe('a step of a heal', () => {
  function stepsWith(end: unknown) {
    const notes: string[] = [];
    const spare = new Set<string>();
    const did: unknown[] = [];
    world.activity = (name, args) => {
      did.push([name, ...args]);
      if (end instanceof Error) throw end;
      return end;
    };
    const steps = healSteps(
      hostSteps('q'),
      () => request,
      (text) => notes.push(text),
      spare,
    );
    return { steps, notes, spare, did };
  }
  const attempt = { number: 1, guest: 1, replayedPhases: 0, heals: [] };
  const failure = { record: { class: 'disk.full', phase: 'P' }, diagnoses: [] } as never;
  const application = { number: 1 } as never;
  const forks = [{ checkpoint: 'a1-p1', machine: 'vm-1-h2' }];

  test('that fails is noted, and what it was for is done without it', async () => {
    const { steps, notes, spare } = stepsWith(fault('TRANSPORT_LOST'));
    expect(await steps.plan(attempt, failure, [])).toEqual([]);
    expect(await steps.apply(application, 'x')).toEqual({ ok: false, said: 'TRANSPORT_LOST!', files: 0 });
    await steps.undo(application, 'x');
    expect(await steps.fork(forks)).toEqual([]);
    expect(notes).toEqual(Array(4).fill('TRANSPORT_LOST: TRANSPORT_LOST!'));
    // It may be there all the same.
    expect([...spare]).toEqual(['vm-1-h2']);
  });

  test.each([new CancelledFailure('no'), new HostLost(undefined)])(
    'that ends with %s ends the run’s',
    async (error) => {
      const { steps, notes } = stepsWith(error);
      await expect(steps.plan(attempt, failure, [])).rejects.toBe(error);
      expect(notes).toEqual([]);
    },
  );

  test('is asked of the machine it is for', async () => {
    const { steps, did } = stepsWith(['vm-1-h2']);
    await steps.plan(attempt, failure, ['y']);
    await steps.apply(application, 'x', 'vm-1-h2');
    await steps.undo(application, 'x');
    expect(await steps.fork(forks)).toEqual(['vm-1-h2']);
    expect(did).toEqual([
      ['planHeals', request, attempt, [], { phase: 'P', tried: ['y'] }],
      ['applyHeal', { run: 'vm-1', machine: 'vm-1-h2' }, application],
      ['undoHeal', request, application],
      ['forkMachine', request, forks],
    ]);
  });

  test('is done on the run’s own machine where it is named as the run', () => {
    const other = { ...request, machine: 'vm-1-h2' };
    expect(onMachine(other, undefined)).toBe(other);
    expect(onMachine(other, 'vm-1')).toEqual(request);
    expect(onMachine(request, 'vm-1-h3')).toEqual({ ...request, machine: 'vm-1-h3' });
  });
});

describe('what a run left on a lost host', () => {
  const report = { run: 'vm-1', state: 'done' } as RunReport;
  const MINUTE_MS = 60_000;
  const machine = (run: string, fate: 'destroy' | 'keep' | 'freeze') => ({ request: { run } as RunRequest, fate });
  /** @param ends what each step comes to, each time, by its name and its run */
  async function cleared(
    machines: readonly ReturnType<typeof machine>[],
    ends: Record<string, readonly unknown[]> = {},
  ) {
    const done: unknown[] = [];
    const steps = new Map(Object.entries(ends).map(([name, each]) => [name, stepOf(...each)]));
    world.activity = async (name, args, options) => {
      const [{ run }, what] = args as readonly [RunRequest, unknown];
      done.push([name, run, what, options]);
      await steps.get(`${name} ${run}`)?.step();
    };
    await leftBehind({ host: 'a', machines, report });
    return done as readonly (readonly [string, string, unknown, Record<string, unknown>])[];
  }

  test('goes machine by machine, each as its run wanted, and the report is written last', async () => {
    const done = await cleared([machine('vm-1', 'destroy'), machine('vm-1-h2', 'keep')]);
    expect(done.map(([name, run, what]) => [name, run, what])).toEqual([
      ['releaseMachine', 'vm-1', 'destroy'],
      ['releaseMachine', 'vm-1-h2', 'keep'],
      ['writeReports', 'vm-1', report],
    ]);
    expect(done.map(([, , , { taskQueue, summary }]) => [taskQueue, summary])).toEqual([
      [hostTaskQueue('a'), 'destroy'],
      [hostTaskQueue('a'), 'keep'],
      [hostTaskQueue('a'), 'done'],
    ]);
    expect(world.paused).toEqual([]);
  });

  test('is tried again, less and less often, until what must go is gone; the others do not wait for it', async () => {
    const failures = Array.from({ length: 11 }, () => fault('MACHINE_X'));
    const done = await cleared([machine('vm-1', 'destroy'), machine('vm-1-h2', 'destroy')], {
      'releaseMachine vm-1': [...failures, 'gone'],
    });
    expect(done).toHaveLength(3 * 12);
    const minutes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360];
    expect(world.paused).toEqual(minutes.map((each) => each * MINUTE_MS));
  });

  test('a machine that cannot be frozen or kept stays as it is; a report that is not written is', async () => {
    const ends = { 'releaseMachine vm-1': [fault('MACHINE_X')], 'releaseMachine vm-1-h2': [fault('MACHINE_X')] };
    expect(await cleared([machine('vm-1', 'freeze'), machine('vm-1-h2', 'keep')], ends)).toHaveLength(3);
    expect(world.paused).toEqual([]);
    await cleared([machine('vm-1', 'keep')], { 'writeReports vm-1': [fault('HOST_X'), fault('HOST_X'), 'written'] });
    expect(world.paused).toEqual([MINUTE_MS, 2 * MINUTE_MS]);
  });

  test('where it has no machine there is nothing to do', async () => {
    expect(await cleared([])).toEqual([]);
  });

  test('outlives its run, and is not waited for without end', async () => {
    const started: unknown[] = [];
    world.child = (type, options) => void started.push([type, options]);
    const left = { host: 'a', machines: [], report };
    await clearLater(left);
    expect(started).toEqual([
      [
        'leftBehind',
        expect.objectContaining({
          workflowId: 'vm-1-left-on-a',
          args: [left],
          parentClosePolicy: 'ABANDON',
          workflowExecutionTimeout: '30 days',
        }),
      ],
    ]);
  });
});
