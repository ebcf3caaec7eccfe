import type { LogSummary, RunReport } from '../../domain/run.js';
import { sourceText } from '../../domain/source.js';
import { oneLine } from '../escape.js';
import { checkpointsText } from '../heals.js';
import { bytesText, durationText, plural } from '../quantities.js';
import { html, type Html } from './template.js';

const NOTES_SHOWN = 50;

/** What the comparison with the guest's log came to. */
function sumText({ verified, partOf }: LogSummary): string {
  if (verified) return '✓ the same in the guest';
  if (partOf === undefined) return 'not confirmed by the guest’s own sum';
  const same = partOf.same ? 'the same there' : 'not confirmed by its own sum';
  return `only the beginning of the guest’s ${bytesText(partOf.bytes)}: ${same}`;
}

/** The facts for whoever wants to know more or to do it again. */
export function facts(run: RunReport): Html {
  const log = run.log.bytes === 0 ? 'empty' : `${bytesText(run.log.bytes)}, ${plural(run.log.lines, 'line')}`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['run', run.run],
    ['suite', run.suite],
    ['driver', run.driver],
    ['base', run.base],
    ['source', run.source === undefined ? undefined : sourceText(run.source)],
    ['commit', run.source?.commit],
    ['host', run.host],
    ['started', run.startedAt],
    ['took', durationText(run.durationMs)],
    ['attempts', String(run.attempts)],
    ['checkpoints', checkpointsText(run)],
    ['workflow history', plural(run.historyEvents, 'event')],
    ['log', log],
    ['log’s SHA-256', run.log.sha256 === '' ? undefined : `${run.log.sha256} (${sumText(run.log)})`],
    ['artifacts', run.artifacts],
  ];
  const present = rows.filter((row): row is readonly [string, string] => row[1] !== undefined && row[1] !== '');
  const notes = run.notes.slice(0, NOTES_SHOWN).map((note) => html`<li>${oneLine(note, 400)}</li>`);
  return html`<section aria-labelledby="facts">
    <h2 id="facts">Facts</h2>
    <dl>
      ${present.map(
        ([name, value]) =>
          html`<dt>${name}</dt>
            <dd>${oneLine(value, 400)}</dd>`,
      )}
    </dl>
    ${
      notes.length > 0
        ? html`<h3>Notes</h3>
            <ul>
              ${notes}
            </ul>`
        : undefined
    }
  </section>`;
}
