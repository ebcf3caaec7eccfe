import {
  ActivityCancellationType,
  CancellationScope,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { ActivityFailure, ApplicationFailure } from '@temporalio/common';
import type { HostActivities, SharedActivities } from '../activities/index.js';
import { checkpointName, type AttemptOutcome, type AttemptRef, type InstallProgress } from '../domain/attempt.js';
import type { Candidate } from '../domain/heal.js';
import { failureOf, plainFailure } from '../domain/failure.js';
import { faultText, type FaultResult } from '../domain/fault.js';
import { newReport } from '../domain/new-report.js';
import { SHARED_TASK_QUEUE, QUERIES, SIGNALS } from '../domain/names.js';
import type { CheckpointCost, FaultRecord, PhaseRecord, RunReport, RunRequest } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { createHealLoop, type Decision, type HealSteps } from './heal-loop.js';
import { setAttribute } from './search-attributes.js';
import { runDetails } from './story.js';

export const reportQuery = defineQuery<RunReport>(QUERIES.report);
export const progressedSignal = defineSignal<[InstallProgress]>(SIGNALS.progressed);
export const decideSignal = defineSignal<[Decision]>(SIGNALS.decide);

/** The phase between the installer's end and the checks, in our own words. */
const BOOT = 'BOOT';

/** So often the follower may signal a change of phase in one run: what keeps a chatty installer's history flat. */
const PHASE_UPDATES = 15;
const MINUTE_MS = 60_000;

/** Heartbeats come on a timer every second; a worker that misses them for so long is taken for dead. */
const HEARTBEAT = {
  heartbeatTimeout: 10_000,
  retry: { initialInterval: 1000, backoffCoefficient: 2, maximumAttempts: 5 },
};
/** A worker's death is no failure of the installer: following it has no limit of tries but its own deadline. */
const FOLLOW_RETRY = { initialInterval: 500, backoffCoefficient: 1.5, maximumInterval: 10_000, maximumAttempts: 1000 };

/** What a run without `--timeout` may take: every step has its own limit, this one ends what has none. */
const LONGEST_RUN_MS = 7 * 24 * 60 * MINUTE_MS;

/** What a run knows of itself while it goes on. */
type Draft = { -readonly [K in keyof RunReport]: RunReport[K] };

/**
 * One profile test: acquire → clone → deploy → install → restart → verify → collect → report → release, in this order and
 * durably. A failed installer is healed where that can be, and tried again. An installer that fails and a check that is red are outcomes; a verdict of `error` is the bench's own fault.
 * It always completes, with its report: cancellation too is a verdict.
 */
export async function profileTest(request: RunRequest): Promise<RunReport> {
  const run = createRun(request);
  try {
    await CancellationScope.withTimeout(request.timeoutMs ?? LONGEST_RUN_MS, () => run.test());
  } catch (error) {
    // Our own scope's time is up where nobody asked for the end of the workflow's.
    if (isCancellation(error) && !CancellationScope.current().consideredCancelled) run.ranOutOfTime();
    else run.stopped(error);
  }
  await CancellationScope.nonCancellable(() => run.finish());
  return run.report();
}

function createRun(request: RunRequest) {
  const draft: Draft = emptyReport(request);
  let host: HostSteps | undefined;
  let phaseUpdates = PHASE_UPDATES;
  let cloned = false;
  let faults: readonly FaultResult[] = [];

  const tell = (state: string) => {
    draft.state = state;
    setCurrentDetails(runDetails(draft));
  };
  setHandler(reportQuery, () => report());
  setHandler(progressedSignal, (progress) => {
    phaseUpdates -= 1;
    setAttribute(request.searchAttributes, 'phase', keyword(progress.phase));
    tell(`installing: ${keyword(progress.phase)}`);
  });

  const note = (text: string) => {
    draft.notes = [...draft.notes, text];
  };

  async function test(): Promise<void> {
    tell('looking for a host');
    const place = await shared.executeWithOptions({ summary: `find a host for ${request.driver}` }, [request]);
    draft.host = place.host;
    draft.artifacts = place.artifacts;
    draft.notes = [...draft.notes, ...place.notes];
    host = hostSteps(place.taskQueue);

    tell('getting a pristine machine');
    cloned = true;
    const machine = await host.cloneMachine.executeWithOptions(
      {
        summary: machineSummary(request),
        // It waits until there is a machine or room for one, however long other runs have them all.
        startToCloseTimeout: LONGEST_RUN_MS,
      },
      [request, report()],
    );
    note(machine.detail);

    tell('deploying the configuration');
    await host.deploy.executeWithOptions({ summary: `deploy to ${request.profile.deploy.to}` }, [request]);

    if (request.faults) {
      tell('injecting faults');
      const names = request.faults.map(faultText).join(', ').slice(0, 200);
      tellFaults(await host.injectFaults.executeWithOptions({ summary: `make go wrong: ${names}` }, [request]));
    }

    if (!(await install(host)) || !(await boot(host))) {
      draft.verdict = 'failed';
      return;
    }
    tell('checking the installed system');
    draft.checks = await host.verify.executeWithOptions({ summary: `${request.profile.checks.length} checks` }, [
      request,
    ]);
    draft.verdict = verdictOf(draft);
  }

  /** The installer, again after every heal; false where it failed for good. */
  async function install(steps: HostSteps): Promise<boolean> {
    const healing = createHealLoop(request, healSteps(steps, request, note), {
      tell,
      record: (heal) => (draft.heals = [...draft.heals, heal]),
      pending: (heal) => {
        if (heal) draft.pending = heal;
        else delete draft.pending;
      },
    });
    setHandler(decideSignal, healing.decide);
    let next: AttemptRef | undefined = { number: 1, guest: 1, replayedPhases: 0, heals: [] };
    while (next) {
      const current: AttemptRef = next;
      const outcome = await attempt(steps, current);
      const failure = failureOf(outcome);
      if (!failure) {
        await healing.settle(outcome);
        return true;
      }
      draft.failures = [...draft.failures, failure];
      next = await healing.next(current, outcome, failure);
    }
    return false;
  }

  async function attempt(steps: HostSteps, ref: AttemptRef): Promise<AttemptOutcome> {
    const { number, guest } = ref;
    draft.attempts = number;
    if (guest === number) {
      tell('starting the installer');
      await steps.startInstaller.executeWithOptions({ summary: `attempt ${number}` }, [request, ref]);
    }
    tell('installing');
    const outcome = await steps.followInstaller.executeWithOptions(
      {
        summary: `attempt ${number}`,
        startToCloseTimeout: request.profile.install.timeoutMs + 30 * MINUTE_MS,
        retry: FOLLOW_RETRY,
      },
      [request, ref, phaseUpdates],
    );
    draft.phases = [...draft.phases, ...phasesOf(outcome, ref)];
    draft.checkpoints = [...draft.checkpoints, ...checkpointCosts(outcome, ref)];
    draft.log = outcome.log;
    if (outcome.faults) tellFaults(outcome.faults);
    return outcome;
  }

  function tellFaults(results: readonly FaultResult[]): void {
    faults = results;
    draft.faults = results
      .filter(({ refused }) => refused === undefined)
      .map(({ name, phase, at, seen }) => ({ name, phase, at, seen }));
  }

  async function boot(steps: HostSteps): Promise<boolean> {
    if (!request.profile.install.reboot) return true;
    tell('restarting from the installed disk');
    const started = Date.now();
    setAttribute(request.searchAttributes, 'phase', BOOT);
    const outcome = await steps.restartInstalled.executeWithOptions({ summary: 'boot the installed system' }, [
      request,
    ]);
    draft.phases = [...draft.phases, phase(BOOT, started, Date.now(), draft.attempts)];
    draft.bootedInstalled = outcome.booted;
    if (outcome.booted) return true;
    draft.failures = [...draft.failures, plainFailure(BOOT, outcome.line, draft.log.bytes, outcome.reason)];
    return false;
  }

  function ranOutOfTime(): void {
    const last = draft.phases.at(-1)?.name ?? '';
    const reason = `the run took longer than ${Math.round((request.timeoutMs ?? LONGEST_RUN_MS) / 1000)} s while ${draft.state}`;
    draft.verdict = 'failed';
    draft.failures = [...draft.failures, plainFailure(last, reason, draft.log.bytes, reason)];
  }

  function stopped(error: unknown): void {
    if (isCancellation(error)) draft.verdict = 'cancelled';
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
    const steps = host;
    if (steps && cloned) {
      tell('collecting logs');
      await unlessFault(() =>
        steps.collect.executeWithOptions({ summary: 'journal, kernel log, console' }, [request, verdict]),
      );
    }
    setAttribute(request.searchAttributes, 'verdict', verdict);
    const wrong = verdict === 'failed' || verdict === 'error';
    const keep = request.keep === 'always' || (request.keep === 'failed' && wrong);
    const installed = draft.bootedInstalled !== undefined || draft.checks.length > 0;
    const fate = !keep ? 'destroy' : verdict === 'failed' && !installed ? 'freeze' : 'keep';
    if (keep && cloned) note(`machine ${request.run} is kept`);
    if (steps && cloned) {
      tell(keep ? 'keeping the machine' : 'releasing the machine');
      await unlessFault(() => steps.releaseMachine.executeWithOptions({ summary: fate }, [request, fate]));
    }
    draft.verdict = verdict;
    draft.durationMs = Date.now() - Date.parse(draft.startedAt);
    tell('done');
    if (steps)
      await unlessFault(() => steps.writeReports.executeWithOptions({ summary: verdict }, [request, report()]));
    setCurrentDetails(runDetails(draft));
  }

  /** A fault in tidying up is told, and never hides the verdict. */
  async function unlessFault(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      const fault = faultOf(error);
      note(`${fault.code}: ${fault.message}`);
    }
  }

  function report(): RunReport {
    return { ...draft, historyEvents: workflowInfo().historyLength };
  }

  return { test, ranOutOfTime, stopped, finish, report };
}

type HostSteps = ReturnType<typeof hostSteps>;

const shared = proxyActivities<SharedActivities>({
  taskQueue: SHARED_TASK_QUEUE,
  startToCloseTimeout: MINUTE_MS,
  retry: HEARTBEAT.retry,
}).acquireMachine;

function hostSteps(taskQueue: string) {
  return proxyActivities<HostActivities>({
    taskQueue,
    startToCloseTimeout: 60 * MINUTE_MS,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    ...HEARTBEAT,
  });
}

function emptyReport({ run, suite, profile, driver }: RunRequest): Draft {
  const startedAt = new Date(Date.now()).toISOString();
  const report = newReport({ run, suite, profile: profile.name, driver, startedAt });
  return profile.base === undefined ? report : { ...report, base: profile.base };
}

function machineSummary({ driver, profile }: RunRequest): string {
  return profile.base === undefined ? driver : `${driver}, from ${profile.base}`;
}

function phase(name: string, startedAt: number, endedAt: number, attempt: number): PhaseRecord {
  return { name, startedAt: new Date(startedAt).toISOString(), durationMs: endedAt - startedAt, attempt };
}

/** What an attempt lived through itself: the phases that came back with a checkpoint are another's. */
function phasesOf(outcome: AttemptOutcome, { number, replayedPhases }: AttemptRef): PhaseRecord[] {
  const all = outcome.phases.map(({ name, at }, index) =>
    phase(name, at, outcome.phases[index + 1]?.at ?? outcome.endedAt, number),
  );
  return all.slice(replayedPhases);
}

/** Faults that were asked for and did not come about. */
function missedFaults({ faults = [] }: RunRequest, results: readonly FaultResult[]): readonly string[] {
  return faults.map(faultText).flatMap((asked) => {
    const result = results.find(({ request }) => request === asked);
    if (result?.refused !== undefined) return [`${asked} was not injected: ${result.refused}`];
    return result ? [] : [`${asked} was not injected: the installer never waited at the beginning of such a phase`];
  });
}

function checkpointCosts(outcome: AttemptOutcome, ref: AttemptRef): CheckpointCost[] {
  return outcome.checkpoints
    .filter(({ name, barrier }) => name === checkpointName(ref, barrier))
    .map(({ name, takenAt, tookMs, bytes }) => ({
      name,
      phase: outcome.phases.findLast(({ at }) => at <= takenAt)?.name ?? '',
      attempt: ref.number,
      tookMs,
      bytes,
    }));
}

function verdictOf({ checks, heals }: Pick<RunReport, 'checks' | 'heals'>): Verdict {
  if (checks.some((check) => check.status === 'fail')) return 'failed';
  return heals.some(({ outcome }) => outcome === 'worked') ? 'healed' : 'passed';
}

/** Asked for a heal, the bench's own faults are no reason to call a failed installation anything else. */
function healSteps(steps: HostSteps, request: RunRequest, note: (text: string) => void): HealSteps {
  const otherwise = async <T>(fallback: (fault: FaultRecord) => T, step: () => Promise<T>): Promise<T> => {
    try {
      return await step();
    } catch (error) {
      if (isCancellation(error)) throw error;
      const fault = faultOf(error);
      note(`${fault.code}: ${fault.message}`);
      return fallback(fault);
    }
  };
  return {
    plan: (attempt, { record, diagnoses }, tried) =>
      otherwise<readonly Candidate[]>(
        () => [],
        () =>
          steps.planHeals.executeWithOptions({ summary: `what could heal ${record.class}` }, [
            request,
            attempt,
            diagnoses,
            { phase: record.phase, tried },
          ]),
      ),
    apply: (application, name) =>
      otherwise(
        ({ message }) => ({ ok: false, said: message, files: 0 }),
        () => steps.applyHeal.executeWithOptions({ summary: name }, [request, application]),
      ),
    undo: (application, name) =>
      otherwise(
        () => undefined,
        () => steps.undoHeal.executeWithOptions({ summary: `undo ${name}` }, [request, application]),
      ),
  };
}

/** Server limit for keywords is 255 bytes; a phase's name comes from the guest. */
function keyword(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);
}

function faultOf(error: unknown): FaultRecord {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = cause.details?.[0] as { hint?: string } | undefined;
    return {
      code: cause.type ?? 'INTERNAL_UNKNOWN',
      message: cause.message,
      ...(details?.hint === undefined ? {} : { hint: details.hint }),
    };
  }
  return { code: 'INTERNAL_UNKNOWN', message: cause instanceof Error ? cause.message : String(cause) };
}
