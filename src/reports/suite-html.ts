import type { RunReport } from '../domain/run.js';
import type { SuiteChange, SuiteReport } from '../domain/suite.js';
import { tally } from '../domain/verdict.js';
import { oneLine } from './escape.js';
import { pageOf } from './html/page.js';
import { html, type Html } from './html/template.js';
import { lookOf } from './outcome.js';
import { durationText, plural } from './quantities.js';
import { storyOf } from './story.js';
import { changeLine, repeatLine } from './comparison.js';

/** So many rows are in the page; JSON has them all. */
const RUNS_SHOWN = 2000;

/**
 * A suite as one page: its verdict, what changed since the runs before, each run in a row.
 * @param hrefOf where a run's own page is, relative to this one; undefined where it has none
 */
export function renderSuiteHtml(suite: SuiteReport, hrefOf: (run: RunReport) => string | undefined): string {
  const { key, word, sign } = lookOf(suite.verdict);
  const told = tally(suite.runs.map(({ verdict }) => lookOf(verdict).word));
  const repeats = (suite.repeats ?? []).map((repeat) => html`<li>${repeatLine(repeat)}</li>`);
  const body = html`<header>
      <div class="verdict ${key}">
        <h1><span class="badge">${sign} ${word}</span> ${oneLine(suite.suite, 120)}</h1>
        <p class="story">${plural(suite.runs.length, 'run')}: ${told}</p>
      </div>
    </header>
    <main>
      ${changes(suite.changes ?? [])}${
        repeats.length === 0
          ? undefined
          : html`<section aria-labelledby="repeats">
              <h2 id="repeats">How steady</h2>
              <ul>
                ${repeats}
              </ul>
            </section>`
      }
      <section aria-labelledby="runs">
        <h2 id="runs">Runs</h2>
        <table class="stack">
          <thead>
            <tr>
              <th scope="col">verdict</th>
              <th scope="col">profile</th>
              <th scope="col">on</th>
              <th scope="col">what happened</th>
              <th scope="col" class="number">took</th>
            </tr>
          </thead>
          <tbody>
            ${suite.runs.slice(0, RUNS_SHOWN).map((run) => row(run, hrefOf(run)))}
          </tbody>
        </table>
      </section>
    </main>`;
  return pageOf(`${word}: ${oneLine(suite.suite, 80)}, nixproof`, body, { pictures: false });
}

function row(run: RunReport, href: string | undefined): Html {
  const { key, word, sign } = lookOf(run.verdict);
  const name = oneLine(run.profile, 120);
  const place = [run.base ?? '', ...run.faults.map((fault) => fault.name)].filter((part) => part !== '');
  return html`<tr>
    <td data-label="verdict">
      <span class="status is-${key}">${sign} ${word}</span>
    </td>
    <th scope="row">${href === undefined ? html`${name}` : html`<a href="${href}">${name}</a>`}</th>
    <td data-label="on">
      <span class="short">${run.driver}</span>${place.map((part) => html`, ${oneLine(part, 200)}`)}
    </td>
    <td data-label="what happened">${oneLine(storyOf(run), 400)}</td>
    <td data-label="took" class="number">${durationText(run.durationMs)}</td>
  </tr>`;
}

function changes(list: readonly SuiteChange[]): Html | undefined {
  if (list.length === 0) return undefined;
  const items = list.map((change) => html`<li>${changeLine(change)}</li>`);
  return html`<section aria-labelledby="changes">
    <h2 id="changes">Since the runs before</h2>
    <ul>
      ${items}
    </ul>
  </section>`;
}
