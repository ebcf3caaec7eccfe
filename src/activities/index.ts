import { availableParallelism } from 'node:os';
import { Context } from '@temporalio/activity';
import { FAILURE_CHECKPOINT, type AttemptOutcome, type AttemptRef, type BootOutcome } from '../domain/attempt.js';
import type { Diagnosis } from '../domain/diagnosis.js';
import type { FaultResult } from '../domain/fault.js';
import type { Candidate, Fork, HealApplication, HealApplied } from '../domain/heal.js';
import { machineOf } from '../domain/names.js';
import type { CheckResult, RunReport, RunRequest } from '../domain/run.js';
import type { Verdict } from '../domain/verdict.js';
import { verify } from '../checks/verify.js';
import { readIfThere, writeJson } from '../host/files.js';
import type { Layout } from '../host/paths.js';
import { createSemaphore } from '../host/semaphore.js';
import type { Registry } from '../machines/registry.js';
import { readRunReport, runFiles, writeRunReport, writeRunRequest } from '../records/artifacts.js';
import { artifactQuota } from '../history/quota.js';
import { bootInstalled } from './boot/boot-installed.js';
import { collectFrom } from './collect/collect.js';
import { deployTree, type DeployedTree } from './deploy/deploy.js';
import { injectFaults } from './inject/inject-faults.js';
import { faultResults } from './step/fault-journal.js';
import { applyHeal, undoHeal } from './heal/apply-heal.js';
import { forkMachine } from './heal/fork-machine.js';
import { planHeals } from './heal/plan-heals.js';
import { madeByHand } from '../machines/by-hand.js';
import { follow, freeze, install } from './install/installing.js';
import { leased } from './step/lease.js';
import { makeRoom } from './release/make-room.js';
import { createScenes, endOutside, makeOutside } from './step/on-machine.js';
import { placeRun, type Loss, type Place } from './place/place-run.js';
import { learnFromSuccess, publishReports, recordHeals } from './publish/publish-reports.js';
import { requireSource } from './step/pinned-source.js';
import { requireNames } from './step/request-names.js';
import { leaveAsItWas } from './release/releasing.js';
import { createSchedulingActivities } from './schedule/scheduling.js';
import type { Work } from '../machines/machine.js';
import { requireStillUntrusted } from '../suites/untrusted.js';
import { createSecretStore } from '../secrets/store.js';
import { inActivity } from './step/temporal.js';

/**
 * Sandboxes are not counted as machines with memory of their own are: hundreds may begin or end at once. So many steps a core do
 * what takes the processor at once; each is soon done, where all together would run into one another's time limits.
 */
const STEPS_A_CORE = 2;

/** What the activities of one worker need. */
export interface ActivityDependencies {
  readonly hostId: string;
  readonly layout: Layout;
  readonly machines: Registry;
  /** This host's: given ones and found ones. */
  readonly labels: readonly string[];
}

export type SharedActivities = ReturnType<typeof createSharedActivities>;
export type SchedulingActivities = ReturnType<typeof createSchedulingActivities>;
export type HostActivities = ReturnType<typeof createHostActivities>;

/** Activities any worker may do. */
export function createSharedActivities({ hostId, layout, machines, labels }: ActivityDependencies) {
  return {
    ...createSchedulingActivities({ layout, machines }),
    /**
     * Finds a host that can drive the machine and may have the run.
     * @param loss asked with a host that has the run and seems gone: that keeps it where it is there after all
     * @throws NixproofError `HOST_*`, `UNSUPPORTED_*`
     */
    acquireMachine: (request: RunRequest, loss?: Loss): Promise<Place> =>
      inActivity((work) => {
        requireNames(request);
        return placeRun(request, { hostId, labels, layout, machines, client: Context.current().client, loss }, work);
      }),
  };
}

/** Activities of the host that has the machine. Each looks at the world before it changes it, so each may be done again. */
export function createHostActivities({ hostId, layout, machines }: ActivityDependencies) {
  const filesOf = (request: RunRequest) => runFiles(layout.runs, request.run);
  const secrets = createSecretStore();
  const { onMachine, onInstaller, onBoth } = createScenes(machines, filesOf, secrets);
  /** Where a run's secrets could not be read, or who waited for them gave up, there is no machine. */
  const hasBegun = async (request: RunRequest) => (await readIfThere(filesOf(request).request)) !== undefined;
  const semaphore = createSemaphore(STEPS_A_CORE * availableParallelism());
  /** What takes the processor and waits for no other run; on other machines than sandboxes it may wait for those. */
  const turn = <T>({ driver }: RunRequest, work: Work, body: () => Promise<T>): Promise<T> =>
    driver === 'sandbox'
      ? semaphore.run(work.signal, body, (before) => work.progress(`waiting for its turn behind ${before} other steps`))
      : body();
  const inTurn = <T>(request: RunRequest, body: (work: Work) => Promise<T>): Promise<T> =>
    inActivity((work) => turn(request, work, () => body(work)));

  return leased(layout, {
    /** @param draft the report as it stands, so that the run is on record from here on */
    cloneMachine: (request: RunRequest, draft: RunReport): Promise<{ readonly detail: string }> =>
      inActivity(async (work) => {
        // A wrong one is told before there is anything to keep.
        artifactQuota();
        return turn(request, work, async () => {
          await requireSource(request, layout, work);
          await requireStillUntrusted({ ...request.profile, driver: request.driver });
          // One that cannot be read is no reason to make a machine.
          if (request.profile.secrets !== undefined) work.progress('reading the secrets');
          await secrets.of(request, work.signal);
          await writeRunRequest(filesOf(request), request);
          await writeRunReport(filesOf(request), draft);
          await makeOutside(machines, request, work);
          const { base, machine: shape, hosts } = request.profile;
          const wanted = { id: request.run, base, shape, ...(hosts === undefined ? {} : { hosts }) };
          await using machine = await machines.driver(request.driver).create(wanted, work);
          return { detail: machine.detail };
        });
      }),

    deploy: (request: RunRequest): Promise<DeployedTree> =>
      inTurn(request, async (work) => {
        await requireSource(request, layout, work);
        await requireStillUntrusted({ ...request.profile, driver: request.driver });
        return onInstaller(request, work, (context) =>
          deployTree(context.machine, request.profile.deploy, layout.home, context.work),
        );
      }),

    /** Injects those faults that are to be there before the installer starts. */
    injectFaults: (request: RunRequest): Promise<readonly FaultResult[]> =>
      inActivity((work) =>
        onMachine(request, work, async (context) => {
          await injectFaults(context, { kind: 'start' });
          return faultResults(context.files);
        }),
      ),

    startInstaller: (request: RunRequest, attempt: AttemptRef): Promise<void> =>
      inTurn(request, (work) => onBoth(request, work, (context) => install(context, attempt))),

    followInstaller: (request: RunRequest, attempt: AttemptRef, phaseUpdates: number): Promise<AttemptOutcome> =>
      inActivity((work, beat) =>
        onBoth(request, work, (context) =>
          follow(context, attempt, { phaseUpdates, home: layout.home, host: hostId }, beat),
        ),
      ),

    /** @param diagnoses of the attempt that failed, best first */
    planHeals: (
      request: RunRequest,
      attempt: AttemptRef,
      diagnoses: readonly Diagnosis[],
      failed: { readonly phase: string; readonly tried: readonly string[] },
    ): Promise<readonly Candidate[]> =>
      inActivity((work) =>
        onBoth(request, work, (context) => planHeals({ ...context, attempt, diagnoses, ...failed, home: layout.home })),
      ),

    applyHeal: (request: RunRequest, application: HealApplication): Promise<HealApplied> =>
      inActivity((work) =>
        onInstaller(request, work, (context) =>
          applyHeal(context.machine, request, application, (heal) => context.files.heal(heal), context.work),
        ),
      ),

    /** Makes machines that go on from checkpoints of the run's own. @returns those for which there was room */
    forkMachine: (request: RunRequest, forks: readonly Fork[]): Promise<readonly string[]> =>
      inActivity((work) => onMachine(request, work, (context) => forkMachine(context.machine, forks, context.work))),

    undoHeal: (request: RunRequest, application: HealApplication): Promise<void> =>
      inActivity((work) =>
        onInstaller(request, work, (context) =>
          undoHeal(context.machine, request, application, context.files.heal(application.number), context.work),
        ),
      ),

    restartInstalled: (request: RunRequest): Promise<BootOutcome> =>
      inTurn(request, (work) =>
        onMachine(request, work, (context) =>
          bootInstalled(context.machine, context.work, request.profile.timeouts?.boot),
        ),
      ),

    verify: (request: RunRequest): Promise<readonly CheckResult[]> =>
      inActivity((work) =>
        onMachine(request, work, async (context) => {
          const { checks, timeouts } = request.profile;
          const { redactor } = context.secrets;
          const results = await verify(context.machine, checks, context.work, {
            ...(timeouts?.checks === undefined ? {} : { limitMs: timeouts.checks }),
            show: (text) => redactor.text(text),
          });
          await writeJson(context.files.checks, results);
          return results;
        }),
      ),

    collect: (request: RunRequest, verdict: Verdict): Promise<void> =>
      inTurn(request, async (work) => {
        if (await hasBegun(request)) await onMachine(request, work, (context) => collectFrom(context, verdict));
      }),

    writeReports: (request: RunRequest, report: RunReport): Promise<void> =>
      inActivity(async (work) => {
        const files = filesOf(request);
        const known = await readRunReport(layout.runs, request.run);
        // What was written once, and has lost its logs since, is not written again without them.
        if (known?.removedForRoomAt !== undefined) return;
        // What tidies up behind a run has no say in the verdict that the run has.
        const isItsOwn = Context.current().info.workflowExecution?.workflowId === request.run;
        if (!isItsOwn && known !== undefined && known.verdict !== null) return;
        await turn(request, work, async () => {
          const full = await publishReports(files, report);
          await recordHeals(layout.home, full);
          await learnFromSuccess(layout.home, files, full, work);
          // Last: a run's verdict is on disk when all that belongs to it is.
          await writeRunReport(files, full);
        });
        await makeRoom(layout, request.run, work);
      }),

    /** `freeze`: keeps it, and what it was when its installer failed can be gone back to. */
    releaseMachine: (request: RunRequest, fate: 'destroy' | 'keep' | 'freeze'): Promise<void> =>
      // Not in turn: it makes the room that those who have theirs may wait for.
      inActivity(async (work) => {
        await endOutside(machines, request, work);
        if (fate === 'destroy' && request.driver === 'ssh' && (await hasBegun(request))) {
          await leaveAsItWas(request, work, (use) => onMachine(request, work, use));
        }
        // A person may have made it theirs since the run ended without it.
        const theirs = (await madeByHand(layout, machineOf(request))) !== undefined;
        if (fate === 'destroy' && !theirs) await machines.driver(request.driver).destroy(machineOf(request), work);
        if (fate === 'destroy') secrets.forget(request.run);
        if (fate === 'freeze') {
          // Without its secrets, which this host may have no more: nothing is read from the
          // machine.
          await using machine = await machines.driver(request.driver).attach(machineOf(request), work);
          await freeze({ machine, work }, FAILURE_CHECKPOINT);
        }
      }),
  });
}
