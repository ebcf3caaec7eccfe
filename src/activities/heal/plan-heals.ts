import type { AttemptRef } from '../../domain/attempt.js';
import type { Diagnosis } from '../../domain/diagnosis.js';
import { messageOf } from '../../domain/error.js';
import type { Candidate, Evidence, ProbeResults } from '../../domain/heal.js';
import type { RunRequest } from '../../domain/run.js';
import { diskAdvice } from '../../healing/catalogue/disk.js';
import { ALL_PROBES, readProbes } from '../../healing/probes.js';
import { rankHeals } from '../../healing/ranking.js';
import { writeJson, writeWhole } from '../../host/files.js';
import type { Machine, Work } from '../../machines/machine.js';
import type { RunFiles } from '../../records/artifacts.js';
import { healCounts, readHealRecord } from '../../history/heal-record.js';
import { openShell } from './guest-shell.js';

export interface HealQuestion {
  /** Where the installer ran. */
  readonly machine: Machine;
  /** What it installs, as far as that answers. */
  readonly target: Machine | undefined;
  readonly request: RunRequest;
  readonly attempt: AttemptRef;
  /** Of the attempt that failed, best first. */
  readonly diagnoses: readonly Diagnosis[];
  /** Its phase; empty where it has none. */
  readonly phase: string;
  /** Heals that were applied for the same failure already. */
  readonly tried: readonly string[];
  readonly files: RunFiles;
  /** The bench's home: where the record of heals is. */
  readonly home: string;
  readonly work: Work;
}

/** What travels through history is small. */
const MAX_CANDIDATES = 5;
/** They end by themselves earlier, each with a limit of its own. */
const PROBES_MS = 4 * 60_000;

/** Looks at the failed machine, writes down what it saw, and gives the heals that could help there, best first. */
export async function planHeals(question: HealQuestion): Promise<readonly Candidate[]> {
  const { machine, target, request, diagnoses, phase, tried, files, home } = question;
  const probes = await probeScene(question);
  await writeJson(files.probes(question.attempt.number), probes);
  const { profile } = request;
  const evidences = diagnoses.map((diagnosis): Evidence => ({
    diagnosis,
    phase,
    probes,
    machine: {
      disks: (target ?? machine).disks,
      memoryMiB: profile.machine.memoryMiB,
      firmware: profile.machine.firmware,
      sharesSystem: machine.sharesSystem === true,
    },
    install: { kind: profile.install.kind },
    tree: machine.resolvePath(profile.deploy.to),
  }));
  const candidates = rankHeals({
    evidences,
    userHeals: profile.healing.heals,
    counts: healCounts(await readHealRecord(home)),
    tried: new Set(tried),
  });
  const advice = evidences.map(diskAdvice).find((text) => text !== undefined);
  if (advice !== undefined) await writeWhole(files.advice(question.attempt.number), advice);
  return candidates.slice(0, MAX_CANDIDATES);
}

/** Of a machine that is installed from outside only its disks matter: heals run where the installer does. */
async function probeScene({ machine, target, work }: HealQuestion): Promise<ProbeResults> {
  const probes = await probeMachine(machine, work);
  if (!target || target === machine) return probes;
  return { ...probes, disks: (await probeMachine(target, work))['disks'] ?? '' };
}

/** A machine that no longer runs, or lets nobody in, says nothing. */
async function probeMachine(machine: Machine, work: Work): Promise<ProbeResults> {
  if (!(await machine.isRunning())) return {};
  try {
    const shell = await openShell(machine, work);
    work.progress('looking at the failed machine');
    return readProbes((await shell.exec(ALL_PROBES, { timeoutMs: PROBES_MS })).stdout);
  } catch (error) {
    work.signal.throwIfAborted();
    work.progress(`the machine lets nobody look at it: ${messageOf(error)}`);
    return {};
  }
}
