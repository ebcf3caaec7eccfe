import { CancellationScope, defineSignal, isCancellation, patched, setHandler } from '@temporalio/workflow';
import { ApplicationFailure } from '@temporalio/common';
import type { Place } from '../activities/place/place-run.js';
import type { AttemptOutcome, AttemptRef, InstallProgress } from '../domain/attempt.js';
import { diagnosedFailure, failureOf, plainFailure } from '../domain/failure.js';
import { faultText, type FaultResult } from '../domain/fault.js';
import { SIGNALS, machineOf } from '../domain/names.js';
import type { LimitedStep } from '../domain/profile.js';
import type { RunReport, RunRequest } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { checkpointCosts, phaseRecord, phasesOf, reportOf, verdictOf, type RunState } from './run-state.js';
import { createHealLoop, type Decision, type HealLoop, type NextAttempt } from './heal-loop.js';
import { healSteps, onMachine } from './heal-steps.js';
import { HostLost, stepsUntilLost, type Fate, type LeftBehind } from './lost-host.js';
import { setAttribute } from './search-attributes.js';
import { LONGEST_RUN_MS, MINUTE_MS, PATIENT_RETRY, STEP_MS, faultOf, type HostSteps } from './steps.js';

const progressedSignal = defineSignal<[InstallProgress]>(SIGNALS.progressed);
const decideSignal = defineSignal<[Decision]>(SIGNALS.decide);

/** The phase between the installer's end and the checks, in our own words. */
const BOOT = 'BOOT';

/** So often the follower may signal a change of phase: what keeps a chatty installer's history flat. */
const PHASE_UPDATES = 15;

/** What a run is whichever host it is on. */
export interface Run {
  readonly asked: RunRequest;
  /** The hosts that it has lost, in that order. */
  readonly hostsLost: readonly string[];
  /** Whether its own time is up: then no host that is gone is waited for. */
  readonly late: boolean;
  /** What it does now, in words. */
  readonly doing: string;
  /** Before each step: here a paused run stands still. */
  readonly begin: (state: string) => Promise<void>;
  readonly tell: (state: string) => void;
  readonly note: (text: string) => void;
}

/** A run on one host. */
export type HostSession = ReturnType<typeof createHostSession>;

/**
 * A run on one host, from a pristine machine to its release. Where the run starts over on another host that is another session: nothing of
 * the first is in it. Every step throws `HostLost` where the host is.
 * @param runState the run's report: what becomes of it here is written into it
 */
export function createHostSession(run: Run, place: Place, runState: RunState) {
  const { begin, tell, note } = run;
  /** As it stands: which machine has the run may change. */
  let request = run.asked;
  /** Machines beside the one that has the run. */
  const spare = new Set<string>();
  let phaseUpdates = PHASE_UPDATES;
  let cloned = false;
  let missed = false;
  let faults: readonly FaultResult[] = [];
  let healing: HealLoop | undefined;

  /** To be made anew for what is to go on when another scope has ended. */
  function stepsHere(): HostSteps {
    const { hostsLost, late } = run;
    const look = (gone: boolean) => {
      missed = gone;
      if (!gone) tell(run.doing);
    };
    return stepsUntilLost(place, { request: () => request, before: hostsLost, late, missed: look });
  }

  /** The whole test. */
  async function test(): Promise<Verdict> {
    const steps = stepsHere();
    await begin('getting a pristine machine');
    cloned = true;
    const machine = await within('machine', () =>
      steps.cloneMachine.executeWithOptions(
        {
          summary: machineSummary(request),
          // It waits until there is a machine or room for one, however long other runs have them all.
          startToCloseTimeout: LONGEST_RUN_MS,
        },
        [request, reportOf(runState)],
      ),
    );
    note(machine.detail);

    await begin('deploying the configuration');
    const deployed = await within('deploy', () =>
      steps.deploy.executeWithOptions(
        { summary: `deploy to ${request.profile.deploy.to}`, startToCloseTimeout: longestOf('deploy') },
        [request],
      ),
    );
    if (deployed.note !== undefined) note(deployed.note);

    if (request.faults) {
      await begin('injecting faults');
      const names = request.faults.map(faultText).join(', ').slice(0, 200);
      tellFaults(await steps.injectFaults.executeWithOptions({ summary: `make go wrong: ${names}` }, [request]));
    }

    if (!(await install(steps)) || !(await boot(steps))) return 'failed';
    await begin('checking the installed system');
    const { checks } = request.profile;
    runState.checks = await steps.verify.executeWithOptions(
      { summary: `${checks.length} checks`, startToCloseTimeout: longestOf('checks') },
      [request],
    );
    return verdictOf(runState);
  }

  /** What a step may take at the most that its profile may limit. */
  function longestOf(step: LimitedStep): number {
    return STEP_MS + (request.profile.timeouts?.[step] ?? 0);
  }

  /** A step within the profile's limit for it. @throws ApplicationFailure `MACHINE_STEP_TIMEOUT` */
  async function within<T>(step: Exclude<LimitedStep, 'boot' | 'checks'>, body: () => Promise<T>): Promise<T> {
    const limitMs = request.profile.timeouts?.[step];
    if (limitMs === undefined) return body();
    let limit: CancellationScope | undefined;
    try {
      return await CancellationScope.withTimeout(limitMs, () => {
        limit = CancellationScope.current();
        return body();
      });
    } catch (error) {
      // A worker may have died while it broke the step off: that is the limit's doing all the same.
      const ours = limit?.consideredCancelled === true && !CancellationScope.current().consideredCancelled;
      if (!ours || error instanceof HostLost) throw error;
      const message = `${run.doing} took longer than timeouts.${step}, ${Math.round(limitMs / 1000)} s`;
      throw ApplicationFailure.create({
        type: 'MACHINE_STEP_TIMEOUT',
        message,
        nonRetryable: true,
        cause: error as Error,
      });
    }
  }

  /** The installer, again after every heal; false where it failed for good. */
  async function install(steps: HostSteps): Promise<boolean> {
    const loop = createHealLoop(
      request,
      {
        ...healSteps(steps, () => request, note, spare),
        follow: (ref, machine) => follow(steps, onMachine(request, machine), ref),
        settleOn: (machine) => settleOn(steps, machine),
      },
      {
        note,
        tell,
        record: (heal) => (runState.heals = [...runState.heals, heal]),
        pending: (heal) => {
          if (heal) runState.pending = heal;
          else delete runState.pending;
        },
      },
    );
    healing = loop;
    setHandler(decideSignal, loop.decide);
    setHandler(progressedSignal, (progress) => {
      // One that was lost tells it late.
      if (progress.host !== undefined && progress.host !== place.host) return;
      phaseUpdates -= 1;
      setAttribute(request.searchAttributes, 'phase', keyword(progress.phase));
      tell(`installing: ${keyword(progress.phase)}`);
      loop.progressed(progress);
    });
    let next: NextAttempt | undefined = { attempt: { number: 1, guest: 1, replayedPhases: 0, heals: [] } };
    while (next) {
      const current: AttemptRef = next.attempt;
      const outcome = next.outcome ?? (await attempt(steps, current));
      recordAttempt(current, outcome);
      const failure = failureOf(outcome);
      if (!failure) {
        if (outcome.left) note(`the installer left processes running when it ended: ${outcome.left.join(', ')}`);
        await loop.settle(outcome);
        return true;
      }
      runState.failures = [...runState.failures, failure];
      await begin('healing');
      next = await loop.next(current, outcome, failure);
    }
    return false;
  }

  async function attempt(steps: HostSteps, ref: AttemptRef): Promise<AttemptOutcome> {
    runState.attempts = ref.number;
    runState.replayedPhases = ref.replayedPhases;
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
      runState.machine = machine;
    }
    try {
      await releaseSpare(steps);
    } catch (error) {
      // One that does not go yet is no word on the heal that won: it goes with the run's.
      if (isCancellation(error) || error instanceof HostLost || !patched('spares-go-later')) throw error;
      const { code, message } = faultOf(error);
      note(`${code}: ${message}`);
    }
  }

  async function releaseSpare(steps: HostSteps): Promise<void> {
    for (const machine of spare) {
      const summary = `destroy ${machine}`;
      await steps.releaseMachine.executeWithOptions({ summary }, [onMachine(request, machine), 'destroy']);
      spare.delete(machine);
    }
  }

  function recordAttempt(ref: AttemptRef, outcome: AttemptOutcome): void {
    runState.attempts = ref.number;
    runState.phases = [...runState.phases, ...phasesOf(outcome, ref)];
    runState.checkpoints = [...runState.checkpoints, ...checkpointCosts(outcome, ref)];
    runState.log = outcome.log;
    if (outcome.faults) tellFaults(outcome.faults);
  }

  function tellFaults(results: readonly FaultResult[]): void {
    faults = results;
    runState.faults = results
      .filter(({ refused }) => refused === undefined)
      .map(({ name, phase, at, seen }) => ({ name, phase, at, seen }));
  }

  async function boot(steps: HostSteps): Promise<boolean> {
    runState.bootedInstalled = false;
    if (!request.profile.install.reboot) return true;
    await begin('restarting from the installed disk');
    const started = Date.now();
    setAttribute(request.searchAttributes, 'phase', BOOT);
    const outcome = await steps.restartInstalled.executeWithOptions(
      { summary: 'boot the installed system', startToCloseTimeout: longestOf('boot') },
      [request],
    );
    runState.phases = [...runState.phases, phaseRecord(BOOT, started, Date.now(), runState.attempts)];
    // A sandbox is no machine: its restart boots nothing.
    runState.bootedInstalled = outcome.booted && request.driver !== 'sandbox';
    if (outcome.booted) return true;
    const { bytes } = runState.log;
    const failure = diagnosedFailure(plainFailure(BOOT, outcome.line, bytes, outcome.reason), outcome.diagnoses);
    // What the console says has no place in the installer's log.
    runState.failures = [...runState.failures, { ...failure, offset: bytes }];
    return false;
  }

  return {
    host: place.host,
    test,
    /** Whether there is a machine that nobody has released. */
    get cloned() {
      return cloned;
    },
    /** Whether the host was asked for in vain and is not known to be back. */
    get missed() {
      return missed;
    },
    /** What became of the faults that were to be injected. */
    get faults() {
      return faults;
    },
    /** Heals that have not shown yet whether they work. */
    get onTrial() {
      return healing?.onTrial() ?? [];
    },
    collect: (verdict: Verdict): Promise<void> =>
      within('collect', () =>
        stepsHere().collect.executeWithOptions(
          { summary: 'journal, kernel log, console', startToCloseTimeout: longestOf('collect') },
          [request, verdict],
        ),
      ),
    async release(fate: Fate): Promise<void> {
      const steps = stepsHere();
      try {
        await releaseSpare(steps);
      } finally {
        // One that cannot go is no reason to leave the other.
        await steps.releaseMachine.executeWithOptions({ summary: fate }, [request, fate]);
        if (fate !== 'destroy') note(`machine ${machineOf(request)} is kept`);
        cloned = false;
      }
    },
    writeReports: (report: RunReport): Promise<void> =>
      stepsHere().writeReports.executeWithOptions({ summary: report.verdict ?? '' }, [request, report]),
    /** What is to be done here once the host is there again. */
    left(fate: Fate, report: RunReport): LeftBehind {
      const spares = [...spare].map((machine) => ({ request: onMachine(request, machine), fate: 'destroy' as const }));
      return { host: place.host, machines: [{ request, fate: cloned ? fate : 'keep' }, ...spares], report };
    },
  };
}

function machineSummary({ driver, profile }: RunRequest): string {
  return profile.base === undefined ? driver : `${driver}, from ${profile.base}`;
}

/** Server limit for keywords is 255 bytes; a phase's name comes from the guest. */
function keyword(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}
