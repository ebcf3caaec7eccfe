import type { HealApplication, HealApplied } from '../../domain/heal.js';
import type { RunRequest } from '../../domain/run.js';
import { readJson, writeJson, writeWhole } from '../../host/files.js';
import { waitUntil } from '../../host/process.js';
import { guestFolder, killInstaller, scriptOf } from '../../installers/installer.js';
import type { Machine, Work } from '../../machines/machine.js';
import { quote } from '../../machines/quote.js';
import type { HealFiles } from '../../records/artifacts.js';
import type { FileChange } from '../../records/patch.js';
import { lookAt } from '../install/guest-state.js';
import { cancellationReason } from '../step/temporal.js';
import { openShell, putText, type GuestShell } from './guest-shell.js';
import { makeChanges, planChanges, revertChanges } from './tree-edits.js';

/** What has been done of one heal, so that whoever comes after a crash does the rest and nothing twice. */
interface Journal {
  /** Whether the machine is back at the checkpoint: from then on it is the heal's. */
  readonly restored: boolean;
  readonly changes?: readonly FileChange[];
}

/** All commands of one heal together. */
const COMMANDS_MS = 15 * 60_000;
/** So long a machine is asked to kill them when the step is cancelled. */
const KILL_MS = 10_000;
const SAID_CHARS = 300;
/** Exit statuses of commands that have none, as timeout(1) and a shell tell them. */
const TOOK_TOO_LONG = 124;
const KILLED = 137;

/**
 * Applies one heal: goes back to a checkpoint where one is named, changes the deployed tree, runs the commands detached in the
 * guest, which claims them so that they run once, whoever asks how often.
 */
export function applyHeal(
  machine: Machine,
  request: RunRequest,
  application: HealApplication,
  filesOf: (heal: number) => HealFiles,
  work: Work,
): Promise<HealApplied> {
  const { number, plan, restore, guest, again, rerun } = application;
  const folders = [...again, application].map((one) => healFolder(machine, one.number, 'do'));
  return stoppedWhenCancelled(machine, folders, work, async () => {
    const files = filesOf(number);
    let journal = (await readJson<Journal>(files.journal)) ?? { restored: false };
    const note = async (more: Partial<Journal>) => {
      journal = { ...journal, ...more };
      await writeJson(files.journal, journal);
    };
    if (restore !== undefined && !journal.restored) await machine.checkpoints?.restore(restore, work);
    await note({ restored: true });
    const shell = await openShell(machine, work);
    // What a checkpoint brought back waits at its barrier, or it is what failed and left something running.
    if (rerun) await killInstaller(machine, shell, guest);
    const tree = machine.resolvePath(request.profile.deploy.to);
    for (const earlier of again) {
      await makeChanges(shell, tree, await changesOf(filesOf(earlier.number)));
      const { exitCode, log } = await runCommands(machine, shell, request, earlier, 'do', work);
      if (exitCode !== 0) return { ok: false, said: endOf(log), files: 0 };
    }
    const changes = journal.changes ?? (await planChanges(shell, tree, plan.edits));
    await note({ changes });
    await makeChanges(shell, tree, changes);
    const result = await runCommands(machine, shell, request, { number, plan }, 'do', work);
    await writeWhole(files.log, result.log);
    return {
      ok: result.exitCode === 0,
      said: endOf(result.log),
      files: changes.length,
    };
  });
}

/** Takes a heal back that did not help and has no checkpoint behind it. */
export function undoHeal(
  machine: Machine,
  request: RunRequest,
  { number, plan }: HealApplication,
  files: HealFiles,
  work: Work,
): Promise<void> {
  return stoppedWhenCancelled(machine, [healFolder(machine, number, 'undo')], work, async () => {
    const shell = await openShell(machine, work);
    await revertChanges(shell, machine.resolvePath(request.profile.deploy.to), await changesOf(files));
    await runCommands(machine, shell, request, { number, plan }, 'undo', work);
  });
}

/** The changes of the tree that a heal made. */
export async function changesOf(files: HealFiles): Promise<readonly FileChange[]> {
  return (await readJson<Journal>(files.journal))?.changes ?? [];
}

function endOf(log: string): string {
  return log.trim().split('\n').slice(-3).join('\n').slice(-SAID_CHARS);
}

type Part = 'do' | 'undo';

/** Where one heal's commands, or its undo's, are in the machine. */
function healFolder(machine: Machine, number: number, part: Part): string {
  return `${guestFolder(machine)}/heal-${number}${part === 'undo' ? '/undo' : ''}`;
}

async function runCommands(
  machine: Machine,
  shell: GuestShell,
  request: RunRequest,
  { number, plan }: Pick<HealApplication, 'number' | 'plan'>,
  part: Part,
  work: Work,
): Promise<{ readonly exitCode: number; readonly log: string }> {
  const commands = part === 'do' ? plan.commands : plan.undo;
  if (commands.length === 0) return { exitCode: 0, log: '' };
  const folder = healFolder(machine, number, part);
  const tree = machine.resolvePath(request.profile.deploy.to);
  const environment = {
    NIXPROOF_HEAL: String(number),
    NIXPROOF_NOW: String(Math.floor(Date.now() / 1000)),
    NIXPROOF_DISK: machine.disks[0] ?? '',
    NIXPROOF_DISKS: machine.disks.join('\n'),
    NIXPROOF_FIRMWARE: request.profile.machine.firmware,
    NIXPROOF_TREE: tree,
  };
  const steps = commands.map((command) => `sh -c ${quote([command])} || exit $?`);
  await putText(shell, `${folder}/install.sh`, scriptOf(environment, steps.join('\n')));
  const run = [`${guestFolder(machine)}/bin/nixproof-run`, folder, tree];
  await shell.exec(['sh', '-c', `setsid ${quote(run)} </dev/null >/dev/null 2>&1 &`]);
  let exitCode = TOOK_TOO_LONG;
  const ended = await waitUntil(
    async () => {
      work.progress('the heal’s commands run');
      const state = await lookAt(shell, { folder });
      if (state.exitCode === undefined && (state.alive || !state.started)) return false;
      exitCode = state.exitCode ?? KILLED;
      return true;
    },
    COMMANDS_MS,
    { everyMs: 500, signal: work.signal },
  );
  if (!ended) await killCommands(shell, folder, TOOK_TOO_LONG);
  const log = (await shell.exec(['sh', '-c', 'head -c 200000 "$1/install.log"', 'sh', folder])).stdout;
  return { exitCode, log };
}

/** Kills a heal's commands and all they started, which have this exit status then. Does nothing where they have ended. */
async function killCommands(shell: GuestShell, folder: string, status: number): Promise<void> {
  const script = `cd "$1" && [ ! -e status ] && pid=$(cat pid) || exit 0
    kill -s KILL -- "-$pid" "$pid" 2>/dev/null
    echo "$2" >status.tmp && mv status.tmp status`;
  await shell.exec(['sh', '-c', script, 'sh', folder, String(status)]);
}

/**
 * Does it, and kills the commands in these folders where a request to cancel breaks it off, as far as the machine still answers: it may
 * be kept. After a worker's end or death another goes on with them.
 */
async function stoppedWhenCancelled<T>(
  machine: Machine,
  folders: readonly string[],
  { signal }: Work,
  body: () => Promise<T>,
): Promise<T> {
  try {
    return await body();
  } catch (error) {
    if (cancellationReason(signal) === 'CANCELLED') {
      const work: Work = { signal: AbortSignal.timeout(KILL_MS), progress: () => undefined };
      try {
        const shell = await openShell(machine, work);
        for (const folder of folders) await killCommands(shell, folder, KILLED);
      } catch {
        // Gone or deaf.
      }
    }
    throw error;
  }
}
