import type { AttemptRef } from '../../domain/attempt.js';
import { faultText, type FaultRequest } from '../../domain/fault.js';
import type { RunRequest } from '../../domain/run.js';
import type { Fault } from '../../faults/fault.js';
import { faultNamed } from '../../faults/index.js';
import { waitUntil } from '../../host/process.js';
import { guestAttempt, killInstaller, scriptOf } from '../../installers/installer.js';
import type { ExecResult, Machine, Work } from '../../machines/machine.js';
import { openShell, type GuestShell } from '../heal/guest-shell.js';
import type { StepContext } from '../step/context.js';
import { noteFault, readFaults, type JournalEntry } from '../step/fault-journal.js';

/** Where a run stands when its faults may strike. */
export type Occasion =
  | { readonly kind: 'start' }
  /** The installer waits at a phase's beginning, before the phase's checkpoint is taken. */
  | { readonly kind: 'barrier'; readonly phase: string }
  /** It has gone on from there. */
  | {
      readonly kind: 'released';
      readonly phase: string;
      readonly attempt: AttemptRef;
      /** Where the installer runs. */
      readonly installer: Machine;
    };

const INJECT_MS = 180_000;
/** A guest that has just lost its network may say so a moment later; without a console it says so when it has it again. */
const SEEN_MS = { soon: 10_000, afterOutage: 90_000 } as const;
const TEXT_CHARS = 300;

/** Whether the installer must wait at its phases for what is to go wrong there. */
export function needsBarriers({ faults = [] }: RunRequest): boolean {
  return faults.some(({ name, phase }) => phase !== undefined || faultNamed(name).moment !== 'start');
}

/** Injects what is due now, each fault once a run. */
export async function injectFaults(context: StepContext, occasion: Occasion): Promise<void> {
  const { faults = [] } = context.request;
  if (faults.length === 0) return;
  const done = new Set((await readFaults(context.files)).map(({ request }) => request));
  for (const request of faults) {
    const fault = faultNamed(request.name);
    if (done.has(faultText(request)) || !isDue(fault, request, occasion)) continue;
    context.work.progress(`injecting ${faultText(request)}`);
    await inject(context, fault, request, occasion);
  }
}

/** What could be seen only afterwards: a worker that was killed does not see its end. */
export async function noteSurvival({ files }: Pick<StepContext, 'files'>): Promise<void> {
  for (const entry of await readFaults(files)) {
    if (entry.worker === undefined || entry.seen !== '' || entry.worker === process.pid) continue;
    await noteFault(files, { ...entry, seen: `worker process ${entry.worker} is gone, ${process.pid} goes on` });
  }
}

/** Takes back what is still in a machine that outlives its run. */
export async function takeBackFaults({ machine, request, work }: StepContext): Promise<void> {
  for (const { name } of request.faults ?? []) {
    const { injection } = faultNamed(name);
    if (injection.kind === 'guest') await run(await openShell(machine, work), machine, request, injection.takeBack);
  }
}

function isDue(fault: Fault, { phase }: FaultRequest, occasion: Occasion): boolean {
  const strikes = fault.afterRelease ? 'released' : 'barrier';
  if (phase !== undefined) return occasion.kind === strikes && occasion.phase === phase;
  return fault.moment === 'start' ? occasion.kind === 'start' : occasion.kind === strikes;
}

async function inject(context: StepContext, fault: Fault, request: FaultRequest, occasion: Occasion): Promise<void> {
  const { machine, files } = context;
  const { injection } = fault;
  const entry: JournalEntry = {
    name: fault.name,
    request: faultText(request),
    phase: occasion.kind === 'start' ? '' : occasion.phase.slice(0, TEXT_CHARS),
    at: new Date().toISOString(),
    seen: '',
  };
  const note = (more: Partial<JournalEntry> = {}) => noteFault(files, { ...entry, ...more });
  switch (injection.kind) {
    case 'guest': {
      const refused = await refusal(context, injection.inject);
      if (refused === undefined) await note({ seen: await lookFor(context, fault, SEEN_MS.soon) });
      // What is not mounted yet may be at the next phase.
      else if (fault.moment !== 'target-mounted' || request.phase !== undefined) await note({ refused });
      break;
    }
    case 'network':
      await takeNetwork(context, fault, injection, note);
      break;
    case 'kill-installer':
      if (occasion.kind !== 'released') break;
      await note();
      await note({ seen: await killed(context.work, occasion) });
      break;
    case 'crash-machine':
      if (!machine.crash) {
        await note({ refused: 'this machine has no power to cut' });
        break;
      }
      await note();
      await machine.crash();
      await note({ seen: (await machine.isRunning()) ? '' : 'the machine no longer runs' });
      break;
    case 'kill-worker':
      await note({ worker: process.pid });
      // Nothing of this process comes after that.
      process.kill(process.pid, 'SIGKILL');
  }
}

async function takeNetwork(
  context: StepContext,
  fault: Fault,
  { downMs, withoutCable }: Extract<Fault['injection'], { kind: 'network' }>,
  note: (more?: Partial<JournalEntry>) => Promise<void>,
): Promise<void> {
  const { cable } = context.machine;
  if (cable) {
    const until = Date.now() + downMs;
    await note({ until });
    await cable.setPlugged(false);
    await note({ until, seen: await lookFor(context, fault, SEEN_MS.soon) });
    return;
  }
  await note();
  const refused = await refusal(context, withoutCable);
  await note(refused === undefined ? { seen: await lookFor(context, fault, SEEN_MS.afterOutage) } : { refused });
}

/** Runs what injects a fault; why it could not, where it could not. */
async function refusal({ machine, request, work }: StepContext, script: string): Promise<string | undefined> {
  const { exitCode, stderr, stdout } = await run(await openShell(machine, work), machine, request, script);
  if (exitCode === 0) return undefined;
  const said = (stderr || stdout).trim().split('\n').at(-1) ?? '';
  return (said === '' ? `exit status ${exitCode}` : said).slice(0, TEXT_CHARS);
}

/** What the guest sees of a fault, by the way in that works; empty where it sees nothing in time. */
async function lookFor({ machine, request, work }: StepContext, fault: Fault, limitMs: number): Promise<string> {
  const { evidence } = fault;
  if (evidence === undefined) return '';
  const { console } = machine;
  let seen = '';
  await waitUntil(
    async () => {
      try {
        const pulled = fault.injection.kind === 'network' && console !== undefined;
        const shell: GuestShell = pulled
          ? { way: 'console', exec: (argv, options) => console.exec(argv, { ...options, signal: work.signal }) }
          : await openShell(machine, work);
        const { exitCode, stdout } = await run(shell, machine, request, evidence);
        if (exitCode === 0) seen = stdout.trim().slice(0, TEXT_CHARS);
      } catch {
        work.signal.throwIfAborted();
      }
      return seen !== '';
    },
    limitMs,
    { everyMs: 300, signal: work.signal },
  );
  return seen;
}

async function killed(work: Work, { installer, attempt }: Extract<Occasion, { kind: 'released' }>): Promise<string> {
  const shell = await openShell(installer, work);
  const { folder, pid } = guestAttempt(installer, attempt.guest);
  await killInstaller(installer, shell, attempt.guest);
  const look = `for turn in $(seq 50); do kill -0 "$(cat "$2")" 2>/dev/null || break; sleep 0.1; done
kill -0 "$(cat "$2")" 2>/dev/null || [ -e "$1/status" ] || echo "process $(cat "$2") is gone without an exit status"`;
  return (await shell.exec(['sh', '-c', look, 'sh', folder, pid])).stdout.trim();
}

function run(shell: GuestShell, machine: Machine, request: RunRequest, script: string): Promise<ExecResult> {
  const environment = {
    NIXPROOF_DISK: machine.disks[0] ?? '',
    NIXPROOF_DISKS: machine.disks.join('\n'),
    NIXPROOF_TREE: machine.resolvePath(request.profile.deploy.to),
  };
  return shell.exec(['sh', '-c', scriptOf(environment, script)], { timeoutMs: INJECT_MS });
}
