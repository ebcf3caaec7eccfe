import {
  CancellationScope,
  defineQuery,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Place } from '../activities/place/place-run.js';
import { FULL_DISK_HINT } from '../domain/error.js';
import { plainFailure } from '../domain/failure.js';
import { QUERIES, SIGNALS, WAITING_FOR_ROOM } from '../domain/names.js';
import { isKept, type RunReport, type RunRequest, type RunResult } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { emptyReport, missedFaults, reportOf, type RunState } from './run-state.js';
import { createForceCancel } from './force-cancel.js';
import { createPauseGate } from './pause-gate.js';
import { HostLost, clearLater, type Fate } from './lost-host.js';
import { setAttribute } from './search-attributes.js';
import { createHostSession, type Run, type HostSession } from './host-session.js';
import { LONGEST_RUN_MS, REPLAYED, acquireMachine, detailsOfCancellation, faultOf, wasReplayed } from './steps.js';
import { runDetails } from './story.js';

const reportQuery = defineQuery<RunReport>(QUERIES.report);
const waitingSignal = defineSignal<[string]>(SIGNALS.waiting);

/** So long a machine may take to go where the end is forced: on a host that answers it takes less. */
const FORCED_RELEASE_MS = 15_000;
/** So many hosts a run may lose until it is taken for what they are lost by. */
const HOSTS_LOST = 2;

/**
 * One profile test: acquire → clone → deploy → install → restart → verify → collect → report → release, in this order and
 * durably. A failed installer is healed where that can be, and tried again. An installer that fails and a check that is red are outcomes; a verdict of `error` is the bench's own fault.
 * It always completes with a verdict, which cancellation is too; its report is in its artifacts, and answers the query `report`.
 * Only where the run has ended before, it fails with `REQUEST_REPLAYED` and touches nothing of it.
 */
export async function profileTest(request: RunRequest): Promise<RunResult> {
  const run = createRun(request);
  try {
    await CancellationScope.withTimeout(request.timeoutMs ?? LONGEST_RUN_MS, () => run.test());
  } catch (error) {
    // Our own scope's time is up where nobody asked for the end of the workflow's.
    if (isCancellation(error) && !CancellationScope.current().consideredCancelled) run.ranOutOfTime(error);
    else if (wasReplayed(error)) {
      throw ApplicationFailure.create({ type: REPLAYED, message: faultOf(error).message, nonRetryable: true });
    } else run.stopped(error);
  }
  await CancellationScope.nonCancellable(() => run.finish());
  const { suite, profile, driver, verdict } = run.report();
  return { run: request.run, suite, profile, driver, verdict };
}

function createRun(asked: RunRequest) {
  let runState: RunState = emptyReport(asked);
  /** Where the run is; absent before there is a host for it. */
  let session: HostSession | undefined;
  /** Whether its host is waited for no more, and no other can have it. */
  let givenUp = false;
  /** Where the end was forced before all was done, or something of it failed. */
  let unfinished: HostSession | undefined;
  /** In the order in which they were lost. */
  const hostsLost: string[] = [];
  /** What it was at when its time was up. */
  let late: string | undefined;
  /** Whether it had waited for room then. */
  let wantedRoom = false;
  /** What becomes of the machine at the end. */
  let fate: Fate = 'destroy';

  let doing = '';
  const show = (state: string) => {
    runState.state = state;
    setCurrentDetails(runDetails(runState));
  };
  const tell = (state: string) => {
    doing = state;
    show(pauseGate.paused ? `${state}; then paused` : state);
  };
  const pauseGate = createPauseGate(() => tell(doing));
  const force = createForceCancel();
  const begin = async (state: string) => {
    if (pauseGate.paused) {
      show(`paused before ${state}`);
      await pauseGate.go();
    }
    tell(state);
  };
  const report = () => reportOf(runState);
  setHandler(reportQuery, report);
  setHandler(waitingSignal, (why) => (why === '' ? tell(doing) : show(why)));
  const note = (text: string) => {
    runState.notes = [...runState.notes, text];
  };
  const run: Run = {
    asked,
    hostsLost,
    get late() {
      return late !== undefined;
    },
    get doing() {
      return doing;
    },
    begin,
    tell,
    note,
  };

  async function test(): Promise<void> {
    await begin('looking for a host');
    const summary = `find a host for ${asked.driver}`;
    let here = moveTo(await acquireMachine.executeWithOptions({ summary }, [asked]), runState);
    for (;;) {
      try {
        runState.verdict = await here.test();
        return;
      } catch (error) {
        if (!(error instanceof HostLost)) throw error;
        const next = await leave(here, error);
        if (!next) throw error.cause as Error;
        const tooMany = hostsLost.length > HOSTS_LOST;
        const { startedAt, notes } = runState;
        here = moveTo(next, tooMany ? runState : { ...emptyReport(asked), startedAt, notes });
        if (tooMany) throw ApplicationFailure.create({ type: 'HOST_LOST', message: notes.at(-1) ?? '' });
      }
    }
  }

  /** @param soFar what of the run's report stands there too */
  function moveTo(next: Place, soFar: RunState): HostSession {
    runState = { ...soFar, host: next.host, artifacts: next.artifacts };
    session = createHostSession(run, next, runState);
    return session;
  }

  /**
   * What the run has there goes when that host is back; the run, or what is left to do of it, goes on on another.
   * @returns where; undefined where it cannot
   */
  async function leave(lost: HostSession, { next }: HostLost): Promise<Place | undefined> {
    if (!next) {
      givenUp = true;
      return undefined;
    }
    note(`host ${lost.host} was lost while ${doing}; it goes on on ${next.host}`);
    if (lost.cloned) await clearLater(lost.left(fate, { ...report(), state: `lost; it goes on on ${next.host}` }));
    hostsLost.push(lost.host);
    return next;
  }

  /** @param error what its step ended with */
  function ranOutOfTime(error: unknown): void {
    wantedRoom = detailsOfCancellation(error).includes(WAITING_FOR_ROOM);
    late = wantedRoom ? `${doing}, ${WAITING_FOR_ROOM}` : runState.state;
    runState.verdict = 'failed';
  }

  function stopped(error: unknown): void {
    // A step whose worker died while it was being cancelled times out, and is not tried again.
    if (isCancellation(error) || CancellationScope.current().consideredCancelled) runState.verdict = 'cancelled';
    else {
      runState.verdict = 'error';
      runState.fault = faultOf(error);
    }
  }

  /** Collect what there is, report, release: whatever happened before, and whatever happens to one of these. */
  async function finish(): Promise<void> {
    let verdict = runState.verdict ?? 'error';
    runState.verdict = null;
    runState.notes = [...runState.notes, ...missedFaults(asked, session?.faults ?? [])];
    for (const heal of session?.onTrial ?? []) note(`the run ended before the heal ${heal} had shown whether it works`);
    delete runState.pending;
    delete runState.replayedPhases;
    fate = fateOf(verdict);
    const last = session;
    if (last?.cloned && awaited()) {
      tell('collecting logs');
      await unlessForced('collecting logs', 0, () => last.collect(verdict));
    }
    if (late !== undefined) {
      verdict = outOfTime(late, last);
      fate = fateOf(verdict);
    }
    setAttribute(asked.searchAttributes, 'verdict', verdict);
    const here = awaited();
    if (here?.cloned) {
      tell(fate === 'destroy' ? 'releasing the machine' : 'keeping the machine');
      const release = () => here.release(fate);
      if (await unlessForced('releasing the machine', FORCED_RELEASE_MS, release)) unfinished = here;
    }
    runState.verdict = verdict;
    runState.durationMs = Date.now() - Date.parse(runState.startedAt);
    tell('done');
    await writeReports();
    if (session && (session === unfinished || givenUp)) {
      note(`host ${session.host} does what is left to do when it is there`);
      await clearLater(session.left(fate, report()));
    }
    setCurrentDetails(runDetails(runState));
  }

  async function writeReports(): Promise<void> {
    const here = awaited();
    if (!here) return;
    const write = () => here.writeReports(report());
    if (await unlessForced('writing the report', FORCED_RELEASE_MS, write)) unfinished = here;
    // Once more on another host where this one is lost over it.
    if (awaited() !== here) await writeReports();
  }

  /** Where the run is, unless nothing is to be waited for there. */
  function awaited(): HostSession | undefined {
    return givenUp ? undefined : session;
  }

  /**
   * What it comes to that the run's time was up: of the configuration that says something unless the run had no host then, had to
   * begin on another, or waited for room.
   * @param last where it was
   */
  function outOfTime(state: string, last?: HostSession): Verdict {
    const limit = `${Math.round((asked.timeoutMs ?? LONGEST_RUN_MS) / 1000)} s`;
    const lost = last?.missed ? last.host : hostsLost.at(-1);
    if (last && lost === undefined && wantedRoom) {
      runState.fault = {
        code: 'HOST_DISK_FULL',
        message: `the run’s ${limit} were up while ${state}`,
        hint: FULL_DISK_HINT,
      };
      return 'error';
    }
    if (last && lost === undefined) {
      const reason = `the run took longer than ${limit} while ${state}`;
      const phase = runState.phases.at(-1)?.name ?? '';
      runState.failures = [...runState.failures, plainFailure(phase, reason, runState.log.bytes, reason)];
      return 'failed';
    }
    const before = lost === undefined ? 'there was no host for it' : `host ${lost} was lost`;
    runState.fault = {
      code: lost === undefined ? 'HOST_NONE' : 'HOST_LOST',
      message: `${before}, and the run’s ${limit} were up while ${state}`,
      hint: 'see `nixproof hosts` for the hosts there are',
    };
    return 'error';
  }

  function fateOf(verdict: Verdict): Fate {
    if (!isKept(asked.keep, verdict)) return 'destroy';
    const installed = runState.bootedInstalled !== undefined || runState.checks.length > 0;
    return verdict === 'failed' && !installed ? 'freeze' : 'keep';
  }

  /**
   * A fault in tidying up is told, and never hides the verdict. Who forces the end does not wait for it, `graceMs` apart.
   * @returns whether it is left to do
   */
  async function unlessForced(what: string, graceMs: number, step: () => Promise<void>): Promise<boolean> {
    try {
      await force.unless(graceMs, step);
    } catch (error) {
      if (error instanceof HostLost) {
        const next = session && (await leave(session, error));
        if (next) moveTo(next, runState);
      } else if (isCancellation(error)) {
        note(`${what} was broken off: the end was forced`);
        return true;
      } else {
        const fault = faultOf(error);
        note(`${fault.code}: ${fault.message}`);
        return true;
      }
    }
    return false;
  }

  return { test, ranOutOfTime, stopped, finish, report };
}
