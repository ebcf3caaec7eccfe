import type { PhaseRecord, RunReport } from '../../domain/run.js';
import { oneLine } from '../escape.js';
import { attemptsOf, type AttemptRecord } from '../outcome.js';
import { durationText, plural } from '../quantities.js';
import { html, type Html } from './template.js';

const PHASES_SHOWN = 120;
const NAME_LIMIT = 120;

/** Where in the run something happened, in percent of its time. */
interface Span {
  readonly start: number;
  readonly width: number;
}

/** The phases of every attempt as bars over the run's time. */
export function timeline(run: RunReport): Html {
  const attempts = attemptsOf(run).filter(({ phases }) => phases.length > 0);
  if (attempts.length === 0) return html``;
  return html`<section aria-labelledby="timeline">
    <h2 id="timeline">Time line</h2>
    <p class="soft">
      Bars stand where in the run’s ${durationText(run.durationMs)} a phase went on; what is before, between and after
      is the bench’s work.
    </p>
    <table class="phases">
      <thead>
        <tr>
          <th scope="col" class="name">phase</th>
          <th scope="col">when</th>
          <th scope="col" class="number">took</th>
        </tr>
      </thead>
      ${attempts.map((attempt) => attemptRows(run, attempt, attempts.length > 1))}
    </table>
  </section>`;
}

function attemptRows(run: RunReport, attempt: AttemptRecord, withHeading: boolean): Html {
  const shown = attempt.phases.slice(0, PHASES_SHOWN);
  const more = attempt.phases.length - shown.length;
  return html`<tbody>
    ${withHeading ? headingRow(attempt) : undefined}${shown.map((phase, index) => {
      const isLast = index === attempt.phases.length - 1;
      return phaseRow(run, phase, attempt.failure !== undefined && isLast && phase.name === attempt.failure.phase);
    })}${
      more > 0
        ? html`<tr>
            <td colspan="3" class="soft">… ${plural(more, 'phase')} left out</td>
          </tr>`
        : undefined
    }
  </tbody>`;
}

function headingRow({ number, durationMs, failure }: AttemptRecord): Html {
  const outcome =
    failure === undefined
      ? ''
      : ', failed' + (failure.class === 'unknown' ? '' : `: ${oneLine(failure.class, NAME_LIMIT)}`);
  return html`<tr>
    <th scope="rowgroup" colspan="3">Attempt ${number} (${durationText(durationMs)}${outcome})</th>
  </tr>`;
}

function phaseRow(run: RunReport, phase: PhaseRecord, failed: boolean): Html {
  const { start, width } = spanOf(run, phase);
  return html`<tr>
    <th scope="row" class="name">
      <code>${oneLine(phase.name, NAME_LIMIT)}</code>${
        failed ? html` <span class="status fail">✗ failed here</span>` : undefined
      }
    </th>
    <td class="span">
      <svg class="bar" aria-hidden="true">
        <rect class="track" width="100%" height="100%" rx="3" />
        <rect
          class="${failed ? 'broken' : 'fill'}"
          x="${percent(start)}"
          width="${percent(width)}"
          height="100%"
          rx="3"
        />
      </svg>
    </td>
    <td class="number">${durationText(phase.durationMs)}</td>
  </tr>`;
}

/** Never outside the bar and never too thin to see. */
function spanOf(run: RunReport, phase: PhaseRecord): Span {
  const since = Date.parse(phase.startedAt) - Date.parse(run.startedAt);
  const total = Math.max(1, run.durationMs);
  const start = clamp((since / total) * 100, 0, 99.4);
  return { start, width: clamp((phase.durationMs / total) * 100, 0.6, 100 - start) };
}

function clamp(value: number, low: number, high: number): number {
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : low;
}

function percent(value: number): string {
  return `${value.toFixed(2)}%`;
}
