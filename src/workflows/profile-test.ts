import {
  CancellationScope,
  defineQuery,
  defineSignal,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Place } from '../activities/index.js';
import type { AttemptOutcome, AttemptRef, InstallProgress } from '../domain/attempt.js';
import { diagnosedFailure, failureOf, plainFailure } from '../domain/failure.js';
import { faultText, type FaultResult } from '../domain/fault.js';
import type { LimitedStep } from '../domain/profile.js';
import { QUERIES, SIGNALS, machineOf } from '../domain/names.js';
import type { RunReport, RunRequest, RunResult } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { checkpointCosts, emptyReport, missedFaults, phaseRecord, phasesOf, verdictOf, type Draft } from './draft.js';
import { createForce } from './force.js';
import { createHealLoop, type Decision, type NextAttempt } from './heal-loop.js';
import { healSteps, onMachine } from './heal-steps.js';
import { createHolding } from './holding.js';
import { HostLost, clearLater, stepsUntilLost, type Fate } from './lost-host.js';
import { setAttribute } from './search-attributes.js';
import { PATIENT_RETRY, LONGEST_RUN_MS, MINUTE_MS, acquireMachine, faultOf, type HostSteps } from './steps.js';
import { runDetails } from './story.js';

export const reportQuery = defineQuery<RunReport>(QUERIES.report);
export const progressedSignal = defineSignal<[InstallProgress]>(SIGNALS.progressed);
export const waitingSignal = defineSignal<[string]>(SIGNALS.waiting);
export const decideSignal = defineSignal<[Decision]>(SIGNALS.decide);

/** The phase between the installer's end and the checks, in our own words. */
const BOOT = 'BOOT';

/** So often the follower may signal a change of phase in one run: what keeps a chatty installer's history flat. */
const PHASE_UPDATES = 15;
/** So long a machine may take to go where the end is forced: on a host that answers it takes less. */
const FORCED_RELEASE_MS = 15_000;
/** So many hosts a run may lose until it is taken for what they are lost by. */
const HOSTS_LOST = 2;

/**
 * One profile test: acquire → clone → deploy → install → restart → verify → collect → report → release, in this order and
 * durably. A failed installer is healed where that can be, and tried again. An installer that fails and a check that is red are outcomes; a verdict of `error` is the bench's own fault.
 * It always completes with a verdict, which cancellation is too; its report is in its artifacts, and answers the query `report`.
 */
export async function profileTest(request: RunRequest): Promise<RunResult> {
  const run = createRun(request);
  try {
    await CancellationScope.withTimeout(request.timeoutMs ?? LONGEST_RUN_MS, () => run.test());
  } catch (error) {
    // Our own scope's time is up where nobody asked for the end of the workflow's.
    if (isCancellation(error) && !CancellationScope.current().consideredCancelled) run.ranOutOfTime();
    else run.stopped(error);
  }
  await CancellationScope.nonCancellable(() => run.finish());
  const { suite, profile, driver, verdict } = run.report();
  return { run: request.run, suite, profile, driver, verdict };
}

function createRun(asked: RunRequest) {
  let request = asked;
  let draft: Draft = emptyReport(request);
  /** In the order in which they were lost. */
  let hostsLost: readonly string[] = [];
  /** What becomes of the machine at the end. */
  let fate: Fate = 'destroy';
  /** Where the run is; absent before there is a host for it. */
  let place: Place | undefined;
  /** Machines beside the one that has the run. */
  const spare = new Set<string>();
  let phaseUpdates = PHASE_UPDATES;
  let cloned = false;
  let faults: readonly FaultResult[] = [];

  let doing = '';
  const show = (state: string) => {
    draft.state = state;
    setCurrentDetails(runDetails(draft));
  };
  const tell = (state: string) => {
    doing = state;
    show(holding.paused ? `${state}; then paused` : state);
  };
  const holding = createHolding(() => tell(doing));
  const force = createForce();
  /** Before each step: here a paused run stands still. */
  const begin = async (state: string) => {
    if (holding.paused) {
      show(`paused before ${state}`);
      await holding.go();
    }
    tell(state);
  };
  setHandler(reportQuery, () => report());
  setHandler(waitingSignal, (why) => (why === '' ? tell(doing) : show(why)));
  const note = (text: string) => {
    draft.notes = [...draft.notes, text];
  };

  async function test(): Promise<void> {
    await begin('looking for a host');
    moveTo(await acquireMachine.executeWithOptions({ summary: `find a host for ${request.driver}` }, [request]));
    for (;;) {
      try {
        await testOn(stepsHere());
        return;
      } catch (error) {
        if (!(error instanceof HostLost)) throw error;
        await leaveHost(error.place);
        if (hostsLost.length > HOSTS_LOST)
          throw ApplicationFailure.create({ type: 'HOST_LOST', message: draft.notes.at(-1) ?? '' });
        const { host, artifacts, notes } = draft;
        draft = { ...emptyReport(asked), startedAt: draft.startedAt, notes, artifacts, ...(host ? { host } : {}) };
        request = asked;
        faults = [];
        phaseUpdates = PHASE_UPDATES;
      }
    }
  }

  /** The whole test on the host that has the run now. */
  async function testOn(steps: HostSteps): Promise<void> {
    await begin('getting a pristine machine');
    cloned = true;
    const machine = await within('machine', () =>
      steps.cloneMachine.executeWithOptions(
        {
          summary: machineSummary(request),
          // It waits until there is a machine or room for one, however long other runs have them all.
          startToCloseTimeout: LONGEST_RUN_MS,
        },
        [request, report()],
      ),
    );
    note(machine.detail);

    await begin('deploying the configuration');
    await within('deploy', () =>
      steps.deploy.executeWithOptions({ summary: `deploy to ${request.profile.deploy.to}` }, [request]),
    );

    if (request.faults) {
      await begin('injecting faults');
      const names = request.faults.map(faultText).join(', ').slice(0, 200);
      tellFaults(await steps.injectFaults.executeWithOptions({ summary: `make go wrong: ${names}` }, [request]));
    }

    if (!(await install(steps)) || !(await boot(steps))) {
      draft.verdict = 'failed';
      return;
    }
    await begin('checking the installed system');
    const { checks } = request.profile;
    draft.checks = await steps.verify.executeWithOptions({ summary: `${checks.length} checks` }, [request]);
    draft.verdict = verdictOf(draft);
  }

  function moveTo(next: Place): void {
    place = next;
    draft.host = next.host;
    draft.artifacts = next.artifacts;
  }

  /** The steps on the host that has the run; told by the report where there is none yet. */
  function stepsHere(): HostSteps {
    if (!place) throw new Error('the run has no host');
    return stepsUntilLost(place, { request: () => request, before: hostsLost, back: () => tell(doing) });
  }

  /** What the run has there goes when that host is back; the run, or what is left to do of it, goes on on another. */
  async function leaveHost(next: Place): Promise<void> {
    const lost = place;
    if (!lost) return;
    note(`host ${lost.host} was lost while ${doing}; it goes on on ${next.host}`);
    if (cloned) {
      const spares = [...spare].map((machine) => ({ request: onMachine(request, machine), fate: 'destroy' as const }));
      const left = { ...report(), state: `lost; it goes on on ${next.host}` };
      const machines = [{ request, fate }, ...spares];
      await CancellationScope.nonCancellable(() =>
        clearLater({ host: lost.host, machines, report: left }, request.run),
      );
    }
    hostsLost = [...hostsLost, lost.host];
    spare.clear();
    cloned = false;
    moveTo(next);
  }

  /** A step within the profile's limit for it. @throws ApplicationFailure `MACHINE_STEP_TIMEOUT` */
  async function within<T>(step: Exclude<LimitedStep, 'boot' | 'checks'>, body: () => Promise<T>): Promise<T> {
    const limitMs = request.profile.timeouts?.[step];
    if (limitMs === undefined) return body();
    try {
      return await CancellationScope.withTimeout(limitMs, body);
    } catch (error) {
      if (!isCancellation(error) || CancellationScope.current().consideredCancelled) throw error;
      const message = `${doing} took longer than timeouts.${step}, ${Math.round(limitMs / 1000)} s`;
      throw ApplicationFailure.create({ type: 'MACHINE_STEP_TIMEOUT', message, nonRetryable: true });
    }
  }

  /** The installer, again after every heal; false where it failed for good. */
  async function install(steps: HostSteps): Promise<boolean> {
    const ofRace = {
      follow: (ref: AttemptRef, machine: string | undefined) => follow(steps, onMachine(request, machine), ref),
      settleOn: (machine: string | undefined) => settleOn(steps, machine),
    };
    const asTold = healSteps(steps, () => request, note, ofRace);
    const fork: typeof asTold.fork = async (forks) => {
      for (const { machine } of forks) spare.add(machine);
      return asTold.fork(forks);
    };
    const healing = createHealLoop(
      request,
      { ...asTold, fork },
      {
        note,
        tell,
        record: (heal) => (draft.heals = [...draft.heals, heal]),
        pending: (heal) => {
          if (heal) draft.pending = heal;
          else delete draft.pending;
        },
      },
    );
    setHandler(decideSignal, healing.decide);
    setHandler(progressedSignal, (progress) => {
      // One that was lost tells it late.
      if (progress.host !== undefined && progress.host !== place?.host) return;
      phaseUpdates -= 1;
      setAttribute(request.searchAttributes, 'phase', keyword(progress.phase));
      tell(`installing: ${keyword(progress.phase)}`);
      healing.progressed(progress);
    });
    let next: NextAttempt | undefined = { attempt: { number: 1, guest: 1, replayedPhases: 0, heals: [] } };
    while (next) {
      const current: AttemptRef = next.attempt;
      const outcome = next.outcome ?? (await attempt(steps, current));
      recordAttempt(current, outcome);
      const failure = failureOf(outcome);
      if (!failure) {
        await healing.settle(outcome);
        return true;
      }
      draft.failures = [...draft.failures, failure];
      await begin('healing');
      next = await healing.next(current, outcome, failure);
    }
    return false;
  }

  async function attempt(steps: HostSteps, ref: AttemptRef): Promise<AttemptOutcome> {
    draft.attempts = ref.number;
    draft.replayedPhases = ref.replayedPhases;
    if (ref.guest === ref.number) await begin('starting the installer');
    return follow(steps, request, ref, () => tell('installing'));
  }

  /** Starts the installer where the attempt is one of its own, and follows it to its end. */
  async function follow(
    steps: HostSteps,
    of: RunRequest,
    ref: AttemptRef,
    onStarted: () => void = () => undefined,
  ): Promise<AttemptOutcome> {
    const { number, guest } = ref;
    const summary = `attempt ${number}`;
    if (guest === number) await steps.startInstaller.executeWithOptions({ summary }, [of, ref]);
    onStarted();
    return steps.followInstaller.executeWithOptions(
      {
        summary,
        startToCloseTimeout: of.profile.install.timeoutMs + 30 * MINUTE_MS,
        retry: PATIENT_RETRY,
      },
      [of, ref, phaseUpdates],
    );
  }

  /** After a race: the machine that has the run from here on; the others go. */
  async function settleOn(steps: HostSteps, machine: string | undefined): Promise<void> {
    if (machine !== undefined) {
      spare.add(machineOf(request));
      spare.delete(machine);
      request = onMachine(request, machine);
      draft.machine = machine;
    }
    await releaseSpare(steps);
  }

  async function releaseSpare(steps: HostSteps): Promise<void> {
    for (const machine of spare) {
      const summary = `destroy ${machine}`;
      await steps.releaseMachine.executeWithOptions({ summary }, [onMachine(request, machine), 'destroy']);
      spare.delete(machine);
    }
  }

  function recordAttempt(ref: AttemptRef, outcome: AttemptOutcome): void {
    draft.attempts = ref.number;
    draft.phases = [...draft.phases, ...phasesOf(outcome, ref)];
    draft.checkpoints = [...draft.checkpoints, ...checkpointCosts(outcome, ref)];
    draft.log = outcome.log;
    if (outcome.faults) tellFaults(outcome.faults);
  }

  function tellFaults(results: readonly FaultResult[]): void {
    faults = results;
    draft.faults = results
      .filter(({ refused }) => refused === undefined)
      .map(({ name, phase, at, seen }) => ({ name, phase, at, seen }));
  }

  async function boot(steps: HostSteps): Promise<boolean> {
    if (!request.profile.install.reboot) return true;
    await begin('restarting from the installed disk');
    const started = Date.now();
    setAttribute(request.searchAttributes, 'phase', BOOT);
    const outcome = await steps.restartInstalled.executeWithOptions({ summary: 'boot the installed system' }, [
      request,
    ]);
    draft.phases = [...draft.phases, phaseRecord(BOOT, started, Date.now(), draft.attempts)];
    draft.bootedInstalled = outcome.booted;
    if (outcome.booted) return true;
    const { bytes } = draft.log;
    const failure = diagnosedFailure(plainFailure(BOOT, outcome.line, bytes, outcome.reason), outcome.diagnoses);
    // What the console says has no place in the installer's log.
    draft.failures = [...draft.failures, { ...failure, offset: bytes }];
    return false;
  }

  function ranOutOfTime(): void {
    const last = draft.phases.at(-1)?.name ?? '';
    const reason = `the run took longer than ${Math.round((request.timeoutMs ?? LONGEST_RUN_MS) / 1000)} s while ${draft.state}`;
    draft.verdict = 'failed';
    draft.failures = [...draft.failures, plainFailure(last, reason, draft.log.bytes, reason)];
  }

  function stopped(error: unknown): void {
    // A step whose worker died while it was being cancelled times out, and is not tried again.
    if (isCancellation(error) || CancellationScope.current().consideredCancelled) draft.verdict = 'cancelled';
    else {
      draft.verdict = 'error';
      draft.fault = faultOf(error);
    }
  }

  /** Collect what there is, report, release: whatever happened before, and whatever happens to one of these. */
  async function finish(): Promise<void> {
    const verdict = draft.verdict ?? 'error';
    draft.verdict = null;
    draft.notes = [...draft.notes, ...missedFaults(request, faults)];
    delete draft.pending;
    delete draft.replayedPhases;
    fate = fateOf(verdict);
    if (cloned) {
      tell('collecting logs');
      await unlessForced('collecting logs', 0, () =>
        within('collect', () =>
          stepsHere().collect.executeWithOptions({ summary: 'journal, kernel log, console' }, [request, verdict]),
        ),
      );
    }
    setAttribute(request.searchAttributes, 'verdict', verdict);
    if (cloned) await release();
    draft.verdict = verdict;
    draft.durationMs = Date.now() - Date.parse(draft.startedAt);
    tell('done');
    // Once more on another host where this one is lost over it.
    for (let at: Place | undefined; place && at !== place;) {
      at = place;
      await unlessForced('writing the report', FORCED_RELEASE_MS, () =>
        stepsHere().writeReports.executeWithOptions({ summary: verdict }, [request, report()]),
      );
    }
    setCurrentDetails(runDetails(draft));
  }

  function fateOf(verdict: Verdict): Fate {
    const wrong = verdict === 'failed' || verdict === 'error';
    if (request.keep === 'never' || (request.keep === 'failed' && !wrong)) return 'destroy';
    const installed = draft.bootedInstalled !== undefined || draft.checks.length > 0;
    return verdict === 'failed' && !installed ? 'freeze' : 'keep';
  }

  async function release(): Promise<void> {
    tell(fate === 'destroy' ? 'releasing the machine' : 'keeping the machine');
    const released =
      (spare.size === 0 ||
        (await unlessForced('releasing the machines of a race', FORCED_RELEASE_MS, () => releaseSpare(stepsHere())))) &&
      (await unlessForced('releasing the machine', FORCED_RELEASE_MS, () =>
        stepsHere().releaseMachine.executeWithOptions({ summary: fate }, [request, fate]),
      ));
    if (!released) return;
    if (fate !== 'destroy') note(`machine ${machineOf(request)} is kept`);
    cloned = false;
  }

  /**
   * A fault in tidying up is told, and never hides the verdict. Who forces the end does not wait for it, `graceMs` apart.
   * @returns whether it was done
   */
  async function unlessForced(what: string, graceMs: number, step: () => Promise<void>): Promise<boolean> {
    try {
      await force.unless(graceMs, step);
      return true;
    } catch (error) {
      if (error instanceof HostLost) await leaveHost(error.place);
      else if (isCancellation(error)) {
        note(`${what} was broken off: the end was forced; \`nixproof cleanup\` removes what is left`);
      } else {
        const fault = faultOf(error);
        note(`${fault.code}: ${fault.message}`);
      }
      return false;
    }
  }

  function report(): RunReport {
    return { ...draft, historyEvents: workflowInfo().historyLength };
  }

  return { test, ranOutOfTime, stopped, finish, report };
}

function machineSummary({ driver, profile }: RunRequest): string {
  return profile.base === undefined ? driver : `${driver}, from ${profile.base}`;
}

/** Server limit for keywords is 255 bytes; a phase's name comes from the guest. */
function keyword(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
