import type { PhaseRecord, RunReport } from '../domain/run.js';
import { oneLine } from './escape.js';
import { attemptsOf, classText, decidingFailure, reasonText, redChecks } from './outcome.js';
import { durationText, plural } from './quantities.js';

const NAME_LIMIT = 80;
const NAMES_SHOWN = 5;
/** The name the workflow gives the restart from the installed disk. */
const BOOT_PHASE = 'BOOT';

/**
 * What happened, in a sentence or two of plain text: `server was installed on qemu in 2 m 31 s (4 phases), booted from its own
 * disk, and passed 7 checks.` Control characters are gone; it is still to be escaped for its format.
 */
export function storyOf(run: RunReport): string {
  return `${outcomeOf(run)}${injected(run)}`;
}

/** A drill is told from a test wherever its story is. */
function injected({ faults }: RunReport): string {
  if (faults.length === 0) return '';
  const named = faults.map(({ name, phase }) => (phase === '' ? name : `${name} in ${oneLine(phase, NAME_LIMIT)}`));
  return ` Faults were injected on purpose: ${names(named)}.`;
}

function outcomeOf(run: RunReport): string {
  switch (run.verdict) {
    case null:
      return `${subject(run)} is being tested on ${run.driver}: ${oneLine(run.state, NAME_LIMIT)} (${durationText(run.durationMs)} so far).`;
    case 'passed':
      return `${installed(run)}${verified(run)}.`;
    case 'healed':
      return `${installed(run)}${verified(run)}. ${healing(run)}`;
    case 'failed':
      return failed(run);
    case 'error':
      return `${subject(run)} could not be tested on ${run.driver}: the bench had a fault after ${durationText(run.durationMs)}${because(run)}.`;
    case 'cancelled':
      return `The test of ${subject(run)} on ${run.driver} was cancelled after ${durationText(run.durationMs)}${whereItWas(run)}.`;
  }
}

function subject(run: RunReport): string {
  return oneLine(run.profile, NAME_LIMIT);
}

function installed(run: RunReport): string {
  const last = attemptsOf(run).at(-1);
  const phases = last === undefined ? [] : installerPhases(run, last.phases);
  if (phases.length === 0) return `${subject(run)} was installed on ${run.driver}`;
  const which = run.attempts > 1 ? `, attempt ${run.attempts}` : '';
  const tookMs = phases.reduce((sum, phase) => sum + phase.durationMs, 0);
  return `${subject(run)} was installed on ${run.driver} in ${durationText(tookMs)} (${plural(phases.length, 'phase')}${which})`;
}

/** Without the restart from the installed disk, which the bench records as a last phase of its own. */
function installerPhases(run: RunReport, phases: readonly PhaseRecord[]): readonly PhaseRecord[] {
  return run.bootedInstalled !== undefined && phases.at(-1)?.name === BOOT_PHASE ? phases.slice(0, -1) : phases;
}

function verified(run: RunReport): string {
  const passed = run.checks.filter((check) => check.status === 'pass').length;
  const parts = [
    ...(run.bootedInstalled === true ? ['booted from its own disk'] : []),
    ...(passed > 0 ? [`passed ${plural(passed, 'check')}`] : []),
  ];
  if (parts.length === 2) return `, ${parts[0] ?? ''}, and ${parts[1] ?? ''}`;
  return parts.length === 1 ? ` and ${parts[0] ?? ''}` : '; nothing was checked';
}

function healing(run: RunReport): string {
  const worked = run.heals.filter((heal) => heal.outcome === 'worked');
  if (worked.length === 0) return 'It needed changes to get there.';
  return `It needed ${plural(worked.length, 'heal')} to get there: ${names(worked.map((heal) => heal.name))}.`;
}

function failed(run: RunReport): string {
  const failure = decidingFailure(run);
  const red = redChecks(run);
  const tries = run.attempts > 1 ? ` at attempt ${run.attempts}` : '';
  if (failure !== undefined) {
    const phase = oneLine(failure.phase, NAME_LIMIT);
    const at = phase === '' ? '' : ` in phase ${phase}`;
    return `${subject(run)} failed on ${run.driver}${at}${tries}, after ${durationText(run.durationMs)}: ${reasonText(failure)}${classText(failure)}.`;
  }
  if (red.length > 0) {
    const booted = run.bootedInstalled === true ? ', booted from its own disk,' : '';
    return `${installed(run)}${booted} but failed ${red.length} of ${plural(run.checks.length, 'check')}: ${names(red.map((check) => check.name))}.`;
  }
  return `${subject(run)} failed on ${run.driver} after ${durationText(run.durationMs)}.`;
}

function because(run: RunReport): string {
  return run.fault === undefined
    ? ''
    : ` (${oneLine(run.fault.code, NAME_LIMIT)}): ${oneLine(run.fault.message, 300).replace(/\.$/, '')}`;
}

function whereItWas(run: RunReport): string {
  const phase = run.phases.at(-1);
  return phase === undefined || run.checks.length > 0 ? '' : `, in phase ${oneLine(phase.name, NAME_LIMIT)}`;
}

function names(all: readonly string[]): string {
  const shown = all.slice(0, NAMES_SHOWN).map((name) => oneLine(name, NAME_LIMIT));
  return `${shown.join(', ')}${all.length > NAMES_SHOWN ? ` and ${all.length - NAMES_SHOWN} more` : ''}`;
}
