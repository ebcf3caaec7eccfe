import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { QUERIES, SIGNALS } from '../../../src/domain/names.js';
import type { SuiteOutcome, SuiteProgress, SuiteRequest } from '../../../src/domain/suite.js';
import type { Verdict } from '../../../src/domain/verdict.js';
import { testSuite } from '../../../src/workflows/test-suite.js';
import { type ContinuedAsNew, world } from './workflow-world.js';

vi.mock(
  import('@temporalio/workflow'),
  async (original) => (await import('./workflow-world.js')).workflowModule(original) as never,
);

const STAMP = '-20261130-000000-0000';

function suiteOf(names: readonly string[], more: Partial<SuiteRequest> = {}): SuiteRequest {
  return {
    suite: `suite${STAMP}`,
    profiles: names.map((name) => ({ name, driver: 'qemu' })) as unknown as SuiteRequest['profiles'],
    runs: names.map((name, profile) => ({ run: `${name}${STAMP}`, profile })),
    parallel: 2,
    keep: 'never',
    searchAttributes: false,
    ...more,
  };
}

/** Runs that are going on, by name without the stamp: each ends when it is told to. */
let going: Map<string, (verdict: Verdict | null | Error) => void>;
beforeEach(() => {
  world.reset();
  going = new Map();
  world.child = (_type, { workflowId }) =>
    new Promise((resolve, reject) => {
      going.set(workflowId.replace(STAMP, ''), (verdict) =>
        verdict instanceof Error ? reject(verdict) : resolve({ verdict }),
      );
    });
});

const runs = async (...names: readonly string[]) => vi.waitFor(() => expect([...going.keys()]).toEqual(names));
function end(name: string, verdict: Verdict | null | Error): void {
  going.get(name)?.(verdict);
  going.delete(name);
}
const verdicts = ({ runs: all }: SuiteOutcome) => all.map(({ run, verdict }) => `${run.replace(STAMP, '')} ${verdict}`);
const progress = () => world.handlers.get(QUERIES.suiteProgress)?.() as SuiteProgress;

describe('a suite', () => {
  test('has so many runs going at a time as it may, and comes to the worst', async () => {
    const suite = testSuite(suiteOf(['a', 'b', 'c'], { searchAttributes: true }));
    await runs('a', 'b');
    end('b', 'passed');
    await runs('a', 'c');
    expect(progress()).toEqual({ going: [`a${STAMP}`, `c${STAMP}`], lately: [`b${STAMP}`], ended: 1, of: 3 });
    expect(world.details).toBe(
      [
        '1 of 3 have ended: 1 passed',
        '',
        '| profile | driver | verdict | run |',
        '|---|---|---|---|',
        `| a | qemu | … | \`a${STAMP}\` |`,
        `| b | qemu | passed | \`b${STAMP}\` |`,
        `| c | qemu | … | \`c${STAMP}\` |`,
      ].join('\n'),
    );
    end('c', 'healed');
    end('a', 'failed');
    const outcome = await suite;
    expect(outcome).toMatchObject({ suite: `suite${STAMP}`, verdict: 'failed' });
    expect(outcome.runs[2]).toEqual({ run: `c${STAMP}`, profile: 'c', driver: 'qemu', verdict: 'healed' });
    expect(verdicts(outcome)).toEqual(['a failed', 'b passed', 'c healed']);
    expect(world.attributes).toEqual(['failed']);
    expect(progress()).toMatchObject({ going: [], ended: 3 });
  });

  test.each<[Verdict | null | Error, Verdict]>([
    [null, 'error'],
    [new Error('terminated'), 'error'],
    [new CancelledFailure('no'), 'cancelled'],
  ])('counts a run that ends with %j as %s', async (how, verdict) => {
    const suite = testSuite(suiteOf(['a']));
    await runs('a');
    end('a', how);
    expect(await suite).toMatchObject({ verdict, runs: [{ verdict }] });
    expect(world.attributes).toEqual([]);
  });

  test.each(['failed', 'error'] as const)('stops the others at the first %s where it is asked to', async (verdict) => {
    const suite = testSuite(suiteOf(['a', 'b', 'c'], { failFast: true }));
    await runs('a', 'b');
    end('a', verdict);
    await expect(suite).rejects.toBeInstanceOf(CancelledFailure);
    expect([...going.keys()]).toEqual(['b']);
    expect(world.handlers.get(QUERIES.suite)?.()).toMatchObject({ verdict });
  });

  test.each<[Partial<SuiteRequest>, Verdict]>([
    [{}, 'failed'],
    [{ failFast: true }, 'healed'],
  ])('goes on with %j after a run that is %s', async (more, verdict) => {
    const suite = testSuite(suiteOf(['a', 'b'], { parallel: 1, ...more }));
    await runs('a');
    end('a', verdict);
    await runs('b');
    end('b', 'passed');
    expect((await suite).verdict).toBe(verdict);
  });

  test('runs again what ended in error, as often as it may, and the last verdict counts', async () => {
    const suite = testSuite(suiteOf(['a'], { retryErrors: 2 }));
    for (const verdict of ['error', 'error', 'passed'] as const) {
      await vi.waitFor(() => expect(going.size).toBe(1));
      end([...going.keys()][0] ?? '', verdict);
    }
    const { verdict, runs: all } = await suite;
    expect(verdict).toBe('passed');
    expect(all.map((run) => run.verdict)).toEqual(['error', 'error', 'passed']);
    expect(all.map(({ retriedAs }) => retriedAs)).toEqual([all[1]?.run, all[2]?.run, undefined]);
    expect(new Set(all.map(({ run }) => run)).size).toBe(3);
  });

  test.each([
    ['a failure', 'failed', 2],
    ['an error without retries', 'error', 0],
  ] as const)('does not run %s again', async (_what, verdict, retryErrors) => {
    const suite = testSuite(suiteOf(['a'], { retryErrors }));
    await runs('a');
    end('a', verdict);
    expect(verdicts(await suite)).toEqual([`a ${verdict}`]);
  });

  test('begins nothing while it is paused', async () => {
    const suite = testSuite(suiteOf(['a', 'b'], { parallel: 1 }));
    await runs('a');
    world.signal(SIGNALS.pause);
    end('a', 'passed');
    await vi.waitFor(() => expect(progress().ended).toBe(1));
    await new Promise((resolve) => setImmediate(resolve));
    expect([...going.keys()]).toEqual([]);
    world.signal(SIGNALS.resume);
    await runs('b');
    end('b', 'passed');
    expect((await suite).verdict).toBe('passed');
  });

  test('that has a long history goes on in another execution with the rest, and all that was', async () => {
    const suite = testSuite(suiteOf(['a', 'b', 'c'], { parallel: 1, retryErrors: 1 }));
    await runs('a');
    end('a', 'error');
    await vi.waitFor(() => expect(going.size).toBe(1));
    world.continueAsNewSuggested = true;
    end([...going.keys()][0] ?? '', 'passed');
    const error: unknown = await suite.catch((reason: unknown) => reason);
    const [rest] = (error as ContinuedAsNew).args as [SuiteRequest];
    expect(rest.ended).toEqual(['passed', null, null]);
    expect(Object.keys(rest.retried ?? {})).toEqual([`a${STAMP}`]);

    world.reset();
    const more = testSuite(rest);
    await runs('b');
    expect(progress()).toMatchObject({ ended: 1, of: 3 });
    end('b', 'passed');
    await runs('c');
    end('c', 'passed');
    expect((await more).runs.map(({ verdict }) => verdict)).toEqual(['error', 'passed', 'passed', 'passed']);
  });

  test('shows the last fifty of many runs, and says so', async () => {
    const names = Array.from({ length: 52 }, (_, index) => `r${index}`);
    const ended = names.map((_, index): Verdict | null => (index < 51 ? 'passed' : null));
    const suite = testSuite(suiteOf(names, { ended }));
    await runs('r51');
    expect(world.details).toContain('the last 50 of 52 are shown');
    expect(world.details).not.toContain('| r1 |');
    expect(world.details).toContain('| r2 |');
    end('r51', 'passed');
    expect((await suite).verdict).toBe('passed');
  });
});
