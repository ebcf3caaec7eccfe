import { Context } from '@temporalio/activity';
import { checkpointName, type AttemptOutcome, type AttemptRef } from '../../domain/attempt.js';
import { hasCode, NixproofError } from '../../domain/error.js';
import { SIGNALS } from '../../domain/names.js';
import type { RunRequest } from '../../domain/run.js';
import { whenThereIsRoom } from '../../host/disk-space.js';
import { killInstaller, startInstaller } from '../../installers/installer.js';
import type { Machine, Work } from '../../machines/machine.js';
import { injectFaults, needsBarriers, noteSurvival, type Occasion } from '../inject/inject-faults.js';
import { faultResults } from '../step/fault-journal.js';
import { followInstaller } from './follow-installer.js';
import { placeFiles } from './place-files.js';
import { createPhaseUpdates } from './phase-updates.js';
import type { InstallContext, StepContext } from '../step/context.js';
import { cancellationReason } from '../step/temporal.js';
import { readSuccessBaseline } from './success-baseline.js';

/** Starts the installer of an attempt; where checkpoints or faults want it, it waits at each phase's beginning. */
export async function install(context: InstallContext, { guest }: AttemptRef): Promise<void> {
  const { machine, target, request, work, secrets } = context;
  const barrier = needsBarriers(request) || (wantsCheckpoints(request) && machine.checkpoints !== undefined);
  if (!target) throw new NixproofError('MACHINE_GONE', `the machine ${request.run} does not answer`);
  // Once connected to, its host key is pinned.
  await target.connect(work);
  const environment = Object.fromEntries(
    Object.entries(request.profile.install.secretEnv ?? {}).map(([variable, secret]) => [
      variable,
      variableText(secret, secrets),
    ]),
  );
  const start = { attempt: guest, barrier, target, environment };
  await startInstaller(machine, await machine.connect(work), request.profile, start);
}

/** @throws NixproofError `CONFIG_SECRET` if a variable cannot hold it */
function variableText(name: string, { values }: StepContext['secrets']): string {
  const value = values.get(name)?.value;
  if (value !== undefined && !value.includes(0)) return value.toString('utf8');
  throw new NixproofError('CONFIG_SECRET', `the secret ${name} has a zero byte, which no variable can hold`, {
    hint: 'put it into the system as a file, with `files:`',
    details: { secret: name },
  });
}

/** What following an installer takes beside it. */
export interface FollowedFrom {
  /** How many changes of phase the workflow may still be told of. */
  readonly phaseUpdates: number;
  /** The bench's. */
  readonly home: string;
  readonly host: string;
}

/** Follows it to its end. */
export async function follow(
  context: InstallContext,
  attempt: AttemptRef,
  { phaseUpdates, home, host }: FollowedFrom,
  beat: (details: unknown) => void,
): Promise<AttemptOutcome> {
  const { machine, target, request, files, work, secrets } = context;
  const workflow = Context.current().client.workflow.getHandle(request.run);
  const tell = createPhaseUpdates(
    phaseUpdates,
    (progress) => void workflow.signal(SIGNALS.progressed, { ...progress, host }).catch(() => undefined),
    () => performance.now(),
  );
  const strike = async (occasion: Occasion) => {
    if (target) await injectFaults({ ...context, machine: target }, occasion);
  };
  await noteSurvival(context);
  try {
    // A guest that stands still until there is room is followed again from then on: neither its silence nor the time counts.
    await whenThereIsRoom(() => machine.connect(work)).catch(() => work.signal.throwIfAborted());
    const outcome = await followInstaller({
      machine,
      target,
      attempt,
      install: request.profile.install,
      files: files.attempt(attempt.number),
      work,
      redactor: secrets.redactor,
      onBarrier: async (barrier, phase) => {
        await strike({ kind: 'barrier', phase });
        if (wantsCheckpoints(request)) await freeze(context, checkpointName(attempt, barrier));
      },
      onReleased: async (phase) => {
        // What installs from outside waits at none of its own phases.
        if (target !== machine) await strike({ kind: 'barrier', phase });
        await strike({ kind: 'released', phase, attempt, installer: machine });
      },
      successBaseline: () => readSuccessBaseline(home, request.profile.name),
      onProgress: (progress) => {
        beat(progress);
        tell(progress);
      },
    });
    const { end } = outcome;
    if (end.kind === 'exited' && end.exitCode === 0) await placeFiles(context);
    return request.faults === undefined ? outcome : { ...outcome, faults: await faultResults(files) };
  } catch (error) {
    // Only a request to cancel ends the installer: after a timeout or a worker's end another follower goes on.
    if (cancellationReason(work.signal) === 'CANCELLED') await stopInstaller(machine, attempt.guest);
    throw error;
  }
}

/** What is frozen costs a second or more at each phase: only where something may go back to it. */
function wantsCheckpoints({ profile, keep }: RunRequest): boolean {
  return profile.healing.policy !== 'never' || keep !== 'never';
}

/** Keeps the machine as it is under a name. A host without room for that goes on without. */
export async function freeze({ machine, work }: Pick<StepContext, 'machine' | 'work'>, name: string): Promise<void> {
  try {
    await machine.checkpoints?.take(name, work);
  } catch (error) {
    if (!hasCode(error, 'HOST_DISK_FULL')) throw error;
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
