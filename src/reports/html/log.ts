import type { RunReport } from '../../domain/run.js';
import { gapText, withGaps, type ExcerptItem, type LogDigest, type LogRow } from '../digest.js';
import { logLine, oneLine } from '../escape.js';
import type { AttemptRecord } from '../outcome.js';
import { durationText, plural } from '../quantities.js';
import { html, type Html } from './template.js';

/** An attempt with what was kept of its stream. */
export interface AttemptLog {
  readonly attempt: AttemptRecord;
  readonly digest: LogDigest;
}

const TEXT_LIMIT = 400;
const CRAMPED_LIMIT = 100;
/** Bytes of log rows in one report: the file stays below two megabytes whatever a guest printed. */
const LOG_BYTES = 1_200_000;

/** The lines around an attempt's failure, the failing one marked; its recorded line alone where the events are elsewhere. */
export function failureExcerpt(run: RunReport, { attempt, digest }: AttemptLog): Html {
  const line = attempt.failure?.line ?? '';
  if (digest.around.length === 0)
    return line === ''
      ? html``
      : html`<ol class="log">
          <li class="hit">
            <span class="when"></span><span class="kind">✗</span><span class="text">${oneLine(line)}</span>
          </li>
        </ol>`;
  const first = digest.around[0]?.index ?? 0;
  const items = withGaps(digest.around, (digest.around.at(-1)?.index ?? 0) + 1).filter(
    (item) => 'row' in item || item.leftOut !== first,
  );
  return html`<ol class="log">
    ${items.map((item) => rowOf(run, item, TEXT_LIMIT, attempt.failure?.offset))}
  </ol>`;
}

/** What was kept of every attempt's stream, behind a fold, with a filter where scripts run. */
export function logSection(run: RunReport, logs: readonly AttemptLog[]): Html {
  const present = logs.filter(({ digest }) => digest.total > 0);
  if (present.length === 0) return html``;
  const share = LOG_BYTES / present.length;
  return html`<section aria-labelledby="log">
    <h2 id="log">Installer’s log</h2>
    ${present.map((log) => fold(run, log, share))}
  </section>`;
}

function fold(run: RunReport, log: AttemptLog, bytes: number): Html {
  const { attempt, digest } = log;
  const roomy = list(run, log, TEXT_LIMIT);
  const fits = Buffer.byteLength(roomy.markup) <= bytes;
  const rows = fits ? roomy : list(run, log, CRAMPED_LIMIT);
  const kept = digest.rows.length === digest.total ? '' : `, ${digest.rows.length} shown`;
  return html`<details>
    <summary>Attempt ${attempt.number}: ${plural(digest.total, 'line')}${kept}</summary>
    <form class="filter" hidden>
      <label>Show lines with <input type="search" autocomplete="off" /></label
      ><label><input type="checkbox" /> errors and warnings only</label><output class="soft"></output>
    </form>
    ${rows}
  </details>`;
}

function list(run: RunReport, { attempt, digest }: AttemptLog, limit: number): Html {
  return html`<ol class="log">
    ${withGaps(digest.rows, digest.total).map((item) => rowOf(run, item, limit, attempt.failure?.offset))}
  </ol>`;
}

function rowOf(run: RunReport, item: ExcerptItem, limit: number, failureOffset: number | undefined): Html {
  if (!('row' in item)) return html`<li class="gap">${gapText(item.leftOut)}</li>`;
  const { row } = item;
  const hit = row.offset === failureOffset ? ' hit' : '';
  return html`<li class="is-${row.kind}${hit}">
    <span class="when" title="byte ${row.offset}">${when(run, row)}</span
    ><span class="kind">${kindText(row, hit !== '')}</span><span class="text">${logLine(row.text, limit)}</span>
  </li>`;
}

/** Plain lines are most of a log and need no label. */
function kindText(row: LogRow, isHit: boolean): string {
  if (isHit) return '✗ failure';
  return row.kind === 'line' ? '' : row.kind;
}

function when(run: RunReport, row: LogRow): string {
  return `+${durationText(row.at - Date.parse(run.startedAt))}`;
}
