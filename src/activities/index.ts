import { Context } from '@temporalio/activity';
import {
  checkpointName,
  FAILURE_CHECKPOINT,
  type AttemptOutcome,
  type AttemptRef,
  type BootOutcome,
} from '../domain/attempt.js';
import { NixproofError, messageOf } from '../domain/error.js';
import { SIGNALS, hostTaskQueue } from '../domain/names.js';
import type { Diagnosis } from '../domain/diagnosis.js';
import type { FaultResult } from '../domain/fault.js';
import type { Candidate, HealApplication, HealApplied } from '../domain/heal.js';
import type { CheckResult, RunReport, RunRequest } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { verify } from '../checks/verify.js';
import { killInstaller, startInstaller } from '../installers/installer.js';
import type { Layout } from '../host/paths.js';
import type { Machine, Work } from '../machines/machine.js';
import type { Registry } from '../machines/registry.js';
import { runFiles, writeRunReport, writeRunRequest } from '../records/artifacts.js';
import { writeJson } from '../host/files.js';
import { collectFrom } from './collect.js';
import { noteConsoleTimes } from './console-times.js';
import { deployTree, type DeployedTree } from './deploy.js';
import { keepCable } from './faults/cable.js';
import { injectFaults, needsBarriers, noteSurvival, takeBackFaults } from './faults/inject-faults.js';
import { faultResults } from './faults/journal.js';
import { followInstaller } from './follow-installer.js';
import { applyHeal, undoHeal } from './healing/apply-heal.js';
import { planHeals } from './healing/plan-heals.js';
import { createPhaseUpdates } from './phase-updates.js';
import { publishReports, recordHeals } from './publish-reports.js';
import { cancellationReason, inActivity } from './temporal.js';

/** What the activities of one worker need. */
export interface ActivityDependencies {
  readonly hostId: string;
  readonly layout: Layout;
  readonly machines: Registry;
}

/** Where a run takes place. */
export interface Place {
  readonly host: string;
  readonly taskQueue: string;
  readonly artifacts: string;
  readonly notes: readonly string[];
}

export type SharedActivities = ReturnType<typeof createSharedActivities>;
export type HostActivities = ReturnType<typeof createHostActivities>;

/** Activities any worker may do. */
export function createSharedActivities({ hostId, layout, machines }: ActivityDependencies) {
  return {
    /** Finds a host that can drive the machine: the one whose worker answers. @throws `HOST_*`, `UNSUPPORTED_*` */
    acquireMachine: (request: RunRequest): Promise<Place> =>
      inActivity(async (work) => {
        const probe = await machines.driver(request.driver).probe(work);
        if (!probe.available) throw probe.reason;
        return {
          host: hostId,
          taskQueue: hostTaskQueue(hostId),
          artifacts: runFiles(layout.runs, request.run).folder,
          notes: [],
        };
      }),
  };
}

/** Activities of the host that has the machine. Each looks at the world before it changes it, so each may be done again. */
export function createHostActivities({ layout, machines }: ActivityDependencies) {
  const filesOf = (request: RunRequest) => runFiles(layout.runs, request.run);
  const withMachine = async <T>(request: RunRequest, work: Work, use: (machine: Machine) => Promise<T>): Promise<T> => {
    await using machine = await machines.driver(request.driver).attach(request.run, work);
    const stopNoting = noteConsoleTimes(machine, filesOf(request));
    const stopKeeping = keepCable(machine, request, filesOf(request));
    try {
      return await use(machine);
    } finally {
      stopKeeping();
      await stopNoting();
    }
  };

  return {
    /** @param draft the report as it stands, so that the run is on record from here on */
    cloneMachine: (request: RunRequest, draft: RunReport): Promise<{ readonly detail: string }> =>
      inActivity(async (work) => {
        await writeRunRequest(filesOf(request), request);
        await writeRunReport(filesOf(request), draft);
        const { base, machine: shape, hosts } = request.profile;
        const wanted = { id: request.run, base, shape, ...(hosts === undefined ? {} : { hosts }) };
        await using machine = await machines.driver(request.driver).create(wanted, work);
        return { detail: machine.detail };
      }),

    deploy: (request: RunRequest): Promise<DeployedTree> =>
      inActivity((work) => withMachine(request, work, (machine) => deployTree(machine, request.profile.deploy, work))),

    /** Injects those faults that are to be there before the installer starts. */
    injectFaults: (request: RunRequest): Promise<readonly FaultResult[]> =>
      inActivity((work) =>
        withMachine(request, work, async (machine) => {
          const files = filesOf(request);
          await injectFaults({ machine, request, files, work }, { kind: 'start' });
          return faultResults(files);
        }),
      ),

    startInstaller: (request: RunRequest, { guest }: AttemptRef): Promise<void> =>
      inActivity((work) =>
        withMachine(request, work, async (machine) => {
          const barrier = needsBarriers(request) || (wantsCheckpoints(request) && machine.checkpoints !== undefined);
          await startInstaller(machine, await machine.connect(work), request.profile, { attempt: guest, barrier });
        }),
      ),

    followInstaller: (request: RunRequest, attempt: AttemptRef, phaseUpdates: number): Promise<AttemptOutcome> =>
      inActivity((work, beat) =>
        withMachine(request, work, (machine) => follow(machine, request, attempt, phaseUpdates, work, beat)),
      ),

    /** @param diagnoses of the attempt that failed, best first */
    planHeals: (
      request: RunRequest,
      attempt: AttemptRef,
      diagnoses: readonly Diagnosis[],
      { phase, tried }: { readonly phase: string; readonly tried: readonly string[] },
    ): Promise<readonly Candidate[]> =>
      inActivity((work) =>
        withMachine(request, work, (machine) =>
          planHeals({
            machine,
            request,
            attempt,
            diagnoses,
            phase,
            tried,
            files: filesOf(request),
            home: layout.home,
            work,
          }),
        ),
      ),

    applyHeal: (request: RunRequest, application: HealApplication): Promise<HealApplied> =>
      inActivity((work) =>
        withMachine(request, work, (machine) =>
          applyHeal(machine, request, application, (heal) => filesOf(request).heal(heal), work),
        ),
      ),

    undoHeal: (request: RunRequest, application: HealApplication): Promise<void> =>
      inActivity((work) =>
        withMachine(request, work, (machine) =>
          undoHeal(machine, request, application, filesOf(request).heal(application.number), work),
        ),
      ),

    restartInstalled: (request: RunRequest): Promise<BootOutcome> =>
      inActivity((work) => withMachine(request, work, (machine) => bootInstalled(machine, work))),

    verify: (request: RunRequest): Promise<readonly CheckResult[]> =>
      inActivity(async (work) => {
        const results = await withMachine(request, work, (machine) => verify(machine, request.profile.checks, work));
        await writeJson(filesOf(request).checks, results);
        return results;
      }),

    collect: (request: RunRequest, verdict: Verdict): Promise<void> =>
      inActivity((work) =>
        withMachine(request, work, (machine) => collectFrom(machine, filesOf(request), verdict, work)),
      ),

    writeReports: (request: RunRequest, report: RunReport): Promise<void> =>
      inActivity(async () => {
        const files = filesOf(request);
        const full = await publishReports(files, report);
        await recordHeals(layout.home, full);
        // Last: a run's verdict is on disk when all that belongs to it is.
        await writeRunReport(files, full);
      }),

    /** `freeze`: keeps it, and what it was when its installer failed can be gone back to. */
    releaseMachine: (request: RunRequest, fate: 'destroy' | 'keep' | 'freeze'): Promise<void> =>
      inActivity(async (work) => {
        if (fate === 'destroy' && request.driver === 'ssh') await leaveAsItWas(request, work);
        if (fate === 'destroy') await machines.driver(request.driver).destroy(request.run, work);
        if (fate === 'freeze') {
          await withMachine(request, work, (machine) => freeze(machine, request, FAILURE_CHECKPOINT, work));
        }
      }),
  };

  /** A machine that existed before lives on after the run. One that does not answer is its own commands' to reset. */
  async function leaveAsItWas(request: RunRequest, work: Work): Promise<void> {
    if (request.faults === undefined) return;
    try {
      await withMachine(request, work, (machine) =>
        takeBackFaults({ machine, request, files: filesOf(request), work }),
      );
    } catch (error) {
      work.signal.throwIfAborted();
      work.progress(`the injected faults were not taken back: ${messageOf(error)}`);
    }
  }

  async function follow(
    machine: Machine,
    request: RunRequest,
    attempt: AttemptRef,
    phaseUpdates: number,
    work: Work,
    beat: (details: unknown) => void,
  ): Promise<AttemptOutcome> {
    const workflow = Context.current().client.workflow.getHandle(request.run);
    const tell = createPhaseUpdates(
      phaseUpdates,
      (progress) => void workflow.signal(SIGNALS.progressed, progress).catch(() => undefined),
      Date.now,
    );
    const files = filesOf(request);
    const scene = { machine, request, files, work };
    await noteSurvival(scene);
    try {
      const outcome = await followInstaller({
        machine,
        attempt,
        install: request.profile.install,
        files: files.attempt(attempt.number),
        work,
        onBarrier: async (barrier, phase) => {
          await injectFaults(scene, { kind: 'barrier', phase });
          await freeze(machine, request, checkpointName(attempt, barrier), work);
        },
        onReleased: (phase) => injectFaults(scene, { kind: 'released', phase, attempt }),
        onProgress: (progress) => {
          beat(progress);
          tell(progress);
        },
      });
      return request.faults === undefined ? outcome : { ...outcome, faults: await faultResults(files) };
    } catch (error) {
      // Only a request to cancel ends the installer: after a timeout or a worker's end another follower goes on.
      if (cancellationReason(work.signal) === 'CANCELLED') await stopInstaller(machine, attempt.guest);
      throw error;
    }
  }
}

/** What is frozen costs a second or more at each phase: only where something may go back to it. */
function wantsCheckpoints({ profile, keep }: RunRequest): boolean {
  return profile.healing.policy !== 'never' || keep !== 'never';
}

/** The installer waits at a phase's beginning. A host without room for a checkpoint goes on without. */
async function freeze(machine: Machine, request: RunRequest, name: string, work: Work): Promise<void> {
  if (!wantsCheckpoints(request)) return;
  try {
    await machine.checkpoints?.take(name, work);
  } catch (error) {
    if (!(error instanceof NixproofError) || error.code !== 'HOST_DISK_FULL') throw error;
    work.progress(`no checkpoint: ${error.message}`);
  }
}

/** As far as the machine still answers; it is destroyed soon in any case. */
async function stopInstaller(machine: Machine, attempt: number): Promise<void> {
  const work: Work = { signal: AbortSignal.timeout(10_000), progress: () => undefined };
  try {
    await killInstaller(machine, await machine.connect(work), attempt);
  } catch {
    // Gone or deaf.
  }
}

/** A system that does not come up from its own disk is what the test found out, not a fault of the bench. */
async function bootInstalled(machine: Machine, work: Work): Promise<BootOutcome> {
  try {
    await machine.restartInstalled(work);
    return { booted: true };
  } catch (error) {
    work.signal.throwIfAborted();
    if (!(error instanceof NixproofError) || error.code !== 'MACHINE_NEVER_BOOTED') throw error;
    const console = error.details['console'];
    const line = Array.isArray(console)
      ? (console as readonly string[]).findLast((text) => text.trim() !== '')
      : undefined;
    return { booted: false, line: line ?? error.message, reason: error.message };
  }
}
