import { condition } from '@temporalio/workflow';
import { checkpointName, type AttemptOutcome, type AttemptRef, type PhaseCheckpoint } from '../domain/attempt.js';
import type { InstallProgress } from '../domain/attempt.js';
import type { Diagnosis } from '../domain/diagnosis.js';
import type { Candidate, Fork, HealApplication, HealApplied } from '../domain/heal.js';
import type { FailureRecord, HealRecord, PendingHeal, RunRequest } from '../domain/run.js';
import { hasProgressed } from '../healing/progress-check.js';
import { race, type Finish } from './race.js';

/** What a person said of a heal; `heal` names it where they wanted to be exact. */
export interface Decision {
  readonly approve: boolean;
  readonly heal?: string;
}

/** A failed attempt's failure, with all that was found out about it. */
export interface Failure {
  readonly record: FailureRecord;
  readonly diagnoses: readonly Diagnosis[];
}

/** What the loop asks of the host. Each may be done again. */
export interface HealSteps {
  plan(attempt: AttemptRef, failure: Failure, tried: readonly string[]): Promise<readonly Candidate[]>;
  /** @param machine one made by `fork`; absent: the run's */
  apply(application: HealApplication, name: string, machine?: string): Promise<HealApplied>;
  undo(application: HealApplication, name: string): Promise<void>;
  /** Makes machines that go on from checkpoints of the run's; gives the names of those for which there was room. */
  fork(forks: readonly Fork[]): Promise<readonly string[]>;
  /** Follows an attempt on a machine of a race. */
  follow(attempt: AttemptRef, machine: string | undefined): Promise<AttemptOutcome>;
  /** The race is over: this machine is the run's from here on, and the others made for it go. */
  settleOn(machine: string | undefined): Promise<void>;
}

/** What the loop tells of itself. */
export interface HealVoice {
  tell(state: string): void;
  record(heal: HealRecord): void;
  pending(heal: PendingHeal | undefined): void;
  note(text: string): void;
}

/** The attempt after a heal, and what it came to where it was followed already. */
export interface NextAttempt {
  readonly attempt: AttemptRef;
  readonly outcome?: AttemptOutcome;
}

/** A checkpoint as the run knows it. */
interface Known extends PhaseCheckpoint {
  readonly guest: number;
  readonly heals: readonly number[];
  /** How many phases the stream had named when it was taken. */
  readonly phases: number;
}

const SAME_POINT = 'the installer failed at the same point';

/** One heal that was applied and whose worth the next attempt shows. */
interface OnProbation {
  readonly candidate: Candidate;
  readonly application: HealApplication;
  readonly before: AttemptOutcome;
  readonly failure: FailureRecord;
  readonly files: number;
}

/** One heal in a race: the machine it is tried on (absent: the run's), and the attempt that shows its worth. */
interface Contender {
  readonly candidate: Candidate;
  readonly application: HealApplication;
  readonly attempt: AttemptRef;
  readonly machine: string | undefined;
}

/** So many heals are tried at once at most. */
const CONTENDERS = 3;

/**
 * Heals one run's failed attempts, one heal after the other, at most as many as the policy allows and none twice for the same
 * failure. A heal worked only if the next attempt gets past the failure; one that did not is gone with the checkpoint that is gone
 * back to, or undone.
 */
export function createHealLoop({ run, profile, faults }: RunRequest, steps: HealSteps, voice: HealVoice) {
  const { policy, threshold, max, askMs } = profile.healing;
  const checkpoints = new Map<string, Known>();
  const worked: HealApplication[] = [];
  let tried: string[] = [];
  let count = 0;
  let probation: OnProbation | undefined;
  let decision: Decision | undefined;
  const latest = () => decision;
  /** The highest number an attempt has had, and how far those of a race have come: attempt → phases. */
  let attempts = 0;
  const progress = new Map<number, number>();
  /** Heals that are applied, or being applied, and have not shown yet whether they work. */
  let onTrial: readonly string[] = [];

  /** The next attempt after a failed one; undefined where healing has come to its end. */
  async function next(
    attempt: AttemptRef,
    outcome: AttemptOutcome,
    failure: FailureRecord,
  ): Promise<NextAttempt | undefined> {
    attempts = Math.max(attempts, attempt.number);
    remember(attempt, outcome);
    await settle(outcome);
    if (policy === 'never') return undefined;
    for (;;) {
      if (count >= max) return undefined;
      voice.tell(`looking for a heal for ${failure.class}`);
      const candidates = await steps.plan(attempt, { record: failure, diagnoses: outcome.diagnoses ?? [] }, tried);
      if (policy === 'race') {
        const sure = candidates.filter(({ confidence }) => confidence >= threshold);
        const contenders = await lineUp(sure, attempt, outcome);
        if (contenders.length > 1) {
          const won = await raced(contenders, outcome, failure);
          if (won) return won;
          continue;
        }
      }
      const candidate = candidates.find(({ confidence }) => policy === 'ask' || confidence >= threshold);
      if (!candidate) return undefined;
      count += 1;
      tried = [...tried, candidate.name];
      if (policy === 'ask' && !(await approved(candidate, failure))) continue;
      const application = applicationOf(candidate, attempt, outcome, count);
      voice.tell(`healing: ${candidate.name}`);
      onTrial = [candidate.name];
      const applied = await steps.apply(application, candidate.name);
      const on: OnProbation = { candidate, application, before: outcome, failure, files: applied.files };
      if (applied.ok) {
        probation = on;
        return { attempt: attemptAfter(application) };
      }
      onTrial = [];
      record(on, 'failed', whyFailed(applied.said));
      await takeBack(on);
    }
  }

  /** Those that can be tried at once, each with a machine: the first has the run's. Fewer than two are no race. */
  async function lineUp(
    candidates: readonly Candidate[],
    attempt: AttemptRef,
    outcome: AttemptOutcome,
  ): Promise<readonly Contender[]> {
    // What was injected is on record once for a run, not for each of several machines.
    if (faults !== undefined || fitting().length === 0) return [];
    const able = candidates.slice(0, Math.min(CONTENDERS, max - count)).map((candidate, index): Contender => {
      const application = applicationOf(candidate, attempt, outcome, count + index + 1);
      const machine = index === 0 ? undefined : `${run}-h${application.number}`;
      return { candidate, application, machine, attempt: attemptAfter(application, index + 1) };
    });
    if (able.length < 2) return [];
    voice.tell(`making ${able.length} machines of one to try heals side by side`);
    const made = await steps.fork(
      able.flatMap(({ machine, application: { restore } }) =>
        machine === undefined || restore === undefined ? [] : [{ checkpoint: restore, machine }],
      ),
    );
    return able.filter(({ machine }) => machine === undefined || made.includes(machine));
  }

  /** Tries them at once. Gives the first proved one's attempt; undefined where none got past the failure. */
  async function raced(
    contenders: readonly Contender[],
    before: AttemptOutcome,
    failure: FailureRecord,
  ): Promise<NextAttempt | undefined> {
    const names = contenders.map(({ candidate }) => candidate.name);
    count = Math.max(...contenders.map(({ application }) => application.number));
    attempts = Math.max(...contenders.map(({ attempt }) => attempt.number));
    tried = [...tried, ...names];
    voice.tell(`healing, side by side: ${names.join(', ')}`);
    onTrial = names;
    const lanes = await race(contenders, {
      before,
      phases: ({ attempt }) => progress.get(attempt.number) ?? 0,
      compete: async ({ application, candidate, attempt, machine }): Promise<Finish> => {
        const { ok, said, files } = await steps.apply(application, candidate.name, machine);
        if (!ok) return { kind: 'failed', files, said };
        return { kind: 'ended', files, outcome: await steps.follow(attempt, machine) };
      },
    });
    const brokenOff: string[] = [];
    let next: NextAttempt | undefined;
    for (const { contender, finish, won } of lanes) {
      // One that came second got past the failure as well: that is no failure of its own.
      if (finish.kind === 'broken-off' || (finish.kind === 'ended' && !won && hasProgressed(before, finish.outcome))) {
        brokenOff.push(contender.candidate.name);
        continue;
      }
      const on = { ...contender, before, failure, files: finish.files };
      if (finish.kind === 'failed') record(on, 'failed', whyFailed(finish.said));
      else if (!won) record(on, 'no-effect', SAME_POINT);
      else {
        probation = on;
        next = { attempt: contender.attempt, outcome: finish.outcome };
      }
    }
    const winner = lanes.find(({ won }) => won)?.contender;
    onTrial = winner ? [winner.candidate.name] : [];
    // Where none won, the next heal goes back to a checkpoint, and that takes what was done to the run's machine along.
    await steps.settleOn(winner?.machine);
    const first = winner ? `; first: ${winner.candidate.name}` : '';
    const rest = brokenOff.length === 0 ? '' : `; broken off: ${brokenOff.join(', ')}`;
    voice.note(`heals tried side by side: ${names.join(', ')}${first}${rest}`);
    return next;
  }

  /** What the attempt after a heal shows of that heal. */
  async function settle(outcome: AttemptOutcome): Promise<void> {
    const on = probation;
    probation = undefined;
    onTrial = [];
    if (!on) return;
    if (hasProgressed(on.before, outcome)) {
      worked.push(on.application);
      tried = [];
      record(on, 'worked', 'the installer got past the failure');
    } else {
      record(on, 'no-effect', SAME_POINT);
      await takeBack(on);
    }
  }

  function record(
    { candidate, application, failure, files }: OnProbation,
    outcome: HealRecord['outcome'],
    reason: string,
  ) {
    const { name, title, confidence, seen } = candidate;
    const resumed = application.rerun ? 'rerun' : 'phase';
    const { number } = application;
    const { phase } = failure;
    voice.record({
      number,
      name,
      class: candidate.class,
      title,
      confidence,
      phase,
      outcome,
      resumed,
      files,
      seen,
      reason,
    });
  }

  /** Where there is a checkpoint the next heal goes back to it, and that takes this one along. */
  async function takeBack({ candidate, application }: OnProbation): Promise<void> {
    if (fitting().length === 0) await steps.undo(application, candidate.name);
  }

  function remember(attempt: AttemptRef, outcome: AttemptOutcome): void {
    const present = new Set(outcome.checkpoints.map(({ name }) => name));
    for (const name of checkpoints.keys()) if (!present.has(name)) checkpoints.delete(name);
    for (const checkpoint of outcome.checkpoints) {
      const { name, barrier, takenAt } = checkpoint;
      if (checkpoints.has(name) || name !== checkpointName(attempt, barrier)) continue;
      const phases = outcome.phases.filter(({ at }) => at <= takenAt).length;
      checkpoints.set(name, { ...checkpoint, guest: attempt.guest, heals: attempt.heals, phases });
    }
  }

  /** Those that hold no change but of heals that worked, latest first. */
  function fitting(): readonly Known[] {
    const good = new Set(worked.map(({ number }) => number));
    return [...checkpoints.values()].filter(({ heals }) => heals.every((heal) => good.has(heal))).reverse();
  }

  function applicationOf(
    { plan }: Candidate,
    attempt: AttemptRef,
    outcome: AttemptOutcome,
    number: number,
  ): HealApplication {
    const fits = fitting();
    const backTo = ({ name, guest, heals }: Known, rerun: boolean): HealApplication => {
      const again = worked.flatMap(({ number, plan }) => (heals.includes(number) ? [] : [{ number, plan }]));
      return { number, plan, attempt, restore: name, guest, again, rerun };
    };
    const ofPhase = fits.find(({ barrier }) => barrier === outcome.barrier);
    if (ofPhase && plan.resume === 'phase') {
      const application = backTo(ofPhase, false);
      if (!rereads(application)) return application;
    }
    // The earliest that has all that worked; an older one has it only again.
    const first = fits.findLast(({ heals }) => heals.length === worked.length) ?? fits.at(-1);
    if (first) return backTo(first, true);
    return { number, plan, attempt, guest: attempt.guest, again: [], rerun: true };
  }

  /** A shell goes on with the script that it has begun to read: what changes files of a script's tree needs a new one. */
  function rereads({ plan, again }: HealApplication): boolean {
    return (
      profile.install.kind === 'script' && [plan, ...again.map((one) => one.plan)].some((one) => one.edits.length > 0)
    );
  }

  /** @param place among those that are tried at once, from 1 */
  function attemptAfter({ number, rerun, restore, guest }: HealApplication, place = 1): AttemptRef {
    const heals = [...worked.map((one) => one.number), number];
    const next = attempts + place;
    if (rerun) return { number: next, guest: next, replayedPhases: 0, heals };
    const phases = restore === undefined ? 0 : (checkpoints.get(restore)?.phases ?? 0);
    return { number: next, guest, replayedPhases: Math.max(0, phases - 1), heals };
  }

  async function approved(candidate: Candidate, failure: FailureRecord): Promise<boolean> {
    const { name, title, confidence, seen, plan } = candidate;
    const { commands, destroys } = plan;
    decision = undefined;
    const until = new Date(Date.now() + askMs).toISOString();
    voice.pending({
      name,
      class: candidate.class,
      title,
      confidence,
      commands,
      until,
      ...(destroys === undefined ? {} : { destroys }),
    });
    voice.tell(`waiting for a person to approve ${name}`);
    const about = () => decision !== undefined && (decision.heal ?? name) === name;
    const answered = await condition(about, askMs).finally(() => voice.pending(undefined));
    if (answered && latest()?.approve === true) return true;
    const reason = answered ? 'a person rejected it' : 'nobody approved it in time';
    const base = {
      number: count,
      name,
      class: candidate.class,
      title,
      confidence,
      phase: failure.phase,
      seen,
      files: 0,
    };
    voice.record({ ...base, outcome: 'rejected', resumed: plan.resume, reason });
    return false;
  }

  return {
    next,
    settle,
    decide: (said: Decision) => {
      decision = said;
    },
    onTrial: (): readonly string[] => onTrial,
    /** How far an attempt has come, while it goes on. */
    progressed: ({ attempt, phases = 0 }: InstallProgress) => {
      progress.set(attempt, Math.max(phases, progress.get(attempt) ?? 0));
    },
  };
}

export type HealLoop = ReturnType<typeof createHealLoop>;

function whyFailed(said: string): string {
  return said === '' ? 'its commands failed' : `its commands failed: ${said}`;
}
