import { oneLine } from '../../reports/escape.js';
import { lookOf } from '../../reports/outcome.js';
import { durationText } from '../../reports/quantities.js';
import type { Paint } from '../../reports/terminal.js';
import type { RunView } from './run-view.js';

const BAR_WIDTH = 20;
/** Phases shown of one run when several run at once. */
const PHASES_TOGETHER = 1;

export interface FrameOptions {
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  readonly paint: Paint;
}

/** One frame of the live view: every run with its phases, progress and current line, no wider than the terminal. */
export function renderFrame(views: readonly RunView[], options: FrameOptions): string {
  const alone = views.length === 1;
  const lines = views.flatMap((view) => runLines(view, alone, options));
  return lines.slice(0, Math.max(1, options.rows - 1)).join('\n');
}

function runLines(view: RunView, alone: boolean, { columns, now, paint }: FrameOptions): string[] {
  const { sign } = lookOf(view.verdict);
  const elapsed = view.startedAt === undefined ? '' : durationText((view.endedAt ?? now) - view.startedAt);
  const head = `${sign} ${view.profile}  ${view.verdict ?? view.state}  ${elapsed}`;
  const lines = [paint('bold', oneLine(head, columns))];
  if (view.verdict !== null) return lines;
  for (const { name, outcome } of view.heals)
    lines.push(paint('dim', oneLine(`  + heal ${name}: ${outcome}`, columns)));
  if (view.pending) {
    lines.push(paint('yellow', oneLine(`  ? ${view.pending.title}`, columns)));
    lines.push(oneLine(`    nixproof approve ${view.run}  |  nixproof reject ${view.run}`, columns));
  }
  const phases = alone ? view.phases : view.phases.slice(-PHASES_TOGETHER);
  for (const phase of phases) lines.push(phaseLine(view, phase, now, columns, paint));
  if (view.progress)
    lines.push(`    ${bar(view.progress.fraction, paint)} ${oneLine(view.progress.text, columns - BAR_WIDTH - 6)}`);
  if (view.line !== '') lines.push(paint('dim', `    ${oneLine(view.line, columns - 5)}`));
  return lines;
}

function phaseLine(
  view: RunView,
  phase: RunView['phases'][number],
  now: number,
  columns: number,
  paint: Paint,
): string {
  const next = view.phases[view.phases.indexOf(phase) + 1];
  const took = durationText((next?.at ?? now) - phase.at);
  const text = oneLine(`  ${next ? '✓' : '▸'} ${phase.name}  ${took}`, columns);
  return next ? paint('dim', text) : paint('cyan', text);
}

/** @param fraction 0 to 1; undefined where nobody knows */
export function bar(fraction: number | undefined, paint: Paint): string {
  if (fraction === undefined) return '·'.repeat(BAR_WIDTH);
  const full = Math.round(Math.min(1, Math.max(0, fraction)) * BAR_WIDTH);
  return paint('green', '█'.repeat(full)) + '░'.repeat(BAR_WIDTH - full);
}
