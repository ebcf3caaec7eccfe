import type { RecordedEvent } from '../../domain/event.js';
import type { HealRecord, PendingHeal, RunReport } from '../../domain/run.js';
import type { Verdict } from '../../domain/verdict.js';

/** What the live view shows of one run. */
export interface RunView {
  readonly run: string;
  readonly profile: string;
  state: string;
  verdict: Verdict | null;
  /** Milliseconds since the epoch; undefined until the run has begun. */
  startedAt: number | undefined;
  endedAt: number | undefined;
  phases: { readonly name: string; readonly at: number }[];
  progress: { readonly text: string; readonly fraction: number | undefined } | undefined;
  line: string;
  /** The attempt that goes on; its events are the ones to read. */
  attempts: number;
  /** How many of its phases came back with a checkpoint. */
  replayedPhases: number;
  heals: readonly HealRecord[];
  pending: PendingHeal | undefined;
}

export function newRunView(run: string, profile: string): RunView {
  return {
    run,
    profile,
    state: 'waiting',
    verdict: null,
    startedAt: undefined,
    endedAt: undefined,
    phases: [],
    progress: undefined,
    line: '',
    attempts: 1,
    replayedPhases: 0,
    heals: [],
    pending: undefined,
  };
}

/** Takes over what the workflow says. */
export function applyReport(view: RunView, report: RunReport): void {
  view.state = report.state;
  view.verdict = report.verdict;
  view.startedAt = Date.parse(report.startedAt);
  view.heals = report.heals;
  view.pending = report.pending;
  if (report.attempts > view.attempts) {
    view.attempts = report.attempts;
    view.replayedPhases = report.replayedPhases ?? 0;
    view.phases = [];
    view.progress = undefined;
    view.line = '';
  }
  if (report.verdict !== null) view.endedAt = view.startedAt + report.durationMs;
  // Phases that come after the installer, such as the boot, are the workflow's alone.
  for (const phase of report.phases) {
    if (phase.attempt === report.attempts && !view.phases.some(({ name }) => name === phase.name))
      view.phases.push({ name: phase.name, at: Date.parse(phase.startedAt) });
  }
}

/** Takes over one event of the installer's stream. */
export function applyEvent(view: RunView, event: RecordedEvent): void {
  if (event.type === 'phase') {
    view.phases.push({ name: event.name, at: event.at });
    view.progress = undefined;
  } else if (event.type === 'progress') {
    view.progress = { text: `${event.stage} ${event.details}`, fraction: event.fraction };
  } else if (event.type === 'line') {
    if (event.text.trim() !== '') view.line = event.text;
  }
}
