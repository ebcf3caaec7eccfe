import { condition } from '@temporalio/workflow';
import { checkpointName, type AttemptOutcome, type AttemptRef, type PhaseCheckpoint } from '../domain/attempt.js';
import type { Diagnosis } from '../domain/diagnosis.js';
import type { Candidate, HealApplication, HealApplied, HealPlan } from '../domain/heal.js';
import type { FailureRecord, HealRecord, PendingHeal, RunRequest } from '../domain/run.js';
import { gotPast } from '../healing/proof.js';

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
  apply(application: HealApplication, name: string): Promise<HealApplied>;
  undo(application: HealApplication, name: string): Promise<void>;
}

/** What the loop tells of itself. */
export interface HealVoice {
  tell(state: string): void;
  record(heal: HealRecord): void;
  pending(heal: PendingHeal | undefined): void;
}

/** A checkpoint as the run knows it. */
interface Known extends PhaseCheckpoint {
  readonly guest: number;
  readonly heals: readonly number[];
  /** How many phases the stream had named when it was taken. */
  readonly phases: number;
}

/** One heal that was applied and whose worth the next attempt shows. */
interface OnProbation {
  readonly candidate: Candidate;
  readonly application: HealApplication;
  readonly before: AttemptOutcome;
  readonly failure: FailureRecord;
  readonly files: number;
}

/**
 * Heals one run's failed attempts, one heal after the other, at most as many as the policy allows and none twice for the same
 * failure. A heal worked only if the next attempt gets past the failure; one that did not is gone with the checkpoint that is gone
 * back to, or undone.
 */
export function createHealLoop({ profile }: RunRequest, steps: HealSteps, voice: HealVoice) {
  const { policy, threshold, max, askMs } = profile.healing;
  const checkpoints = new Map<string, Known>();
  const worked: HealApplication[] = [];
  let tried: string[] = [];
  let count = 0;
  let probation: OnProbation | undefined;
  let decision: Decision | undefined;
  const latest = () => decision;

  /** The next attempt after a failed one; undefined where healing has come to its end. */
  async function next(
    attempt: AttemptRef,
    outcome: AttemptOutcome,
    failure: FailureRecord,
  ): Promise<AttemptRef | undefined> {
    remember(attempt, outcome);
    await settle(outcome);
    if (policy === 'never') return undefined;
    for (;;) {
      if (count >= max) return undefined;
      voice.tell(`looking for a heal for ${failure.class}`);
      const candidates = await steps.plan(attempt, { record: failure, diagnoses: outcome.diagnoses ?? [] }, tried);
      const candidate = candidates.find(({ confidence }) => policy === 'ask' || confidence >= threshold);
      if (!candidate) return undefined;
      count += 1;
      tried = [...tried, candidate.name];
      if (policy === 'ask' && !(await approved(candidate, failure))) continue;
      const application = applicationOf(candidate, attempt, outcome);
      voice.tell(`healing: ${candidate.name}`);
      const applied = await steps.apply(application, candidate.name);
      const on: OnProbation = { candidate, application, before: outcome, failure, files: applied.files };
      if (applied.ok) {
        probation = on;
        return attemptAfter(attempt, application);
      }
      record(on, 'failed', applied.said === '' ? 'its commands failed' : `its commands failed: ${applied.said}`);
      await takeBack(on);
    }
  }

  /** What the attempt after a heal shows of that heal. */
  async function settle(outcome: AttemptOutcome): Promise<void> {
    const on = probation;
    probation = undefined;
    if (!on) return;
    if (gotPast(on.before, outcome)) {
      worked.push(on.application);
      tried = [];
      record(on, 'worked', 'the installer got past the failure');
    } else {
      record(on, 'no-effect', 'the installer failed at the same point');
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

  function applicationOf({ plan }: Candidate, attempt: AttemptRef, outcome: AttemptOutcome): HealApplication {
    const fits = fitting();
    const ofPhase = fits.find(({ barrier }) => barrier === outcome.barrier);
    if (ofPhase && plan.resume === 'phase') {
      const application = backTo(ofPhase, plan, attempt, false);
      if (!rereads(application)) return application;
    }
    // The earliest that has all that worked; an older one has it only again.
    const first = fits.findLast(({ heals }) => heals.length === worked.length) ?? fits.at(-1);
    if (first) return backTo(first, plan, attempt, true);
    return { number: count, plan, attempt, guest: attempt.guest, again: [], rerun: true };
  }

  function backTo({ name, guest, heals }: Known, plan: HealPlan, attempt: AttemptRef, rerun: boolean): HealApplication {
    const again = worked.flatMap(({ number, plan }) => (heals.includes(number) ? [] : [{ number, plan }]));
    return { number: count, plan, attempt, restore: name, guest, again, rerun };
  }

  /** A shell goes on with the script that it has begun to read: what changes files of a script's tree needs a new one. */
  function rereads({ plan, again }: HealApplication): boolean {
    return (
      profile.install.kind === 'script' && [plan, ...again.map((one) => one.plan)].some((one) => one.edits.length > 0)
    );
  }

  function attemptAfter(attempt: AttemptRef, { number, rerun, restore, guest }: HealApplication): AttemptRef {
    const heals = [...worked.map((one) => one.number), number];
    const next = attempt.number + 1;
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
  };
}
