import type { InjectedFault } from '../../domain/fault.js';
import type { CheckResult, FailureRecord, HealRecord, RunReport } from '../../domain/run.js';
import { oneLine } from '../escape.js';
import { patchCommand, seenText } from '../heals.js';
import { capitalised, lookOf, meaningOf, reasonText } from '../outcome.js';
import { durationText, plural } from '../quantities.js';
import { storyOf } from '../story.js';
import { failureExcerpt, type AttemptLog } from './log.js';
import { html, type Html } from './template.js';

const CHECKS_SHOWN = 500;
const HEALS_SHOWN = 50;

/** The verdict and the story: what a reader sees first. */
export function banner(run: RunReport): Html {
  const { key, word, sign } = lookOf(run.verdict);
  return html`<header>
    <div class="verdict ${key}">
      <h1><span class="badge">${sign} ${word}</span> ${oneLine(run.profile, 120)}</h1>
      <p class="story">${unbroken(storyOf(run))}</p>
      <p class="soft">${meaningOf(run)}</p>
      ${fault(run)}
    </div>
  </header>`;
}

/** Keeps a number and its unit of time on one line. */
function unbroken(text: string): string {
  return text.replace(/(\d) (?=(?:ms|[smhd])\b)/g, '$1\u00a0');
}

function fault(run: RunReport): Html {
  if (run.fault === undefined) return html``;
  const { code, message, hint } = run.fault;
  return html`<p><code class="status">${code}</code> ${oneLine(message)}</p>
    ${hint === undefined ? undefined : html`<p><strong>What to do:</strong> ${oneLine(hint)}</p>`}`;
}

/** What was made to go wrong on purpose: a reader must not take a drill for a test. */
export function injected({ faults }: RunReport): Html {
  if (faults.length === 0) return html``;
  return html`<section aria-labelledby="injected">
    <h2 id="injected">Injected on purpose</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">fault</th>
          <th scope="col">where</th>
          <th scope="col">at</th>
          <th scope="col">seen in the machine</th>
        </tr>
      </thead>
      <tbody>
        ${faults.map(injectedRow)}
      </tbody>
    </table>
  </section>`;
}

function injectedRow({ name, phase, at, seen }: InjectedFault): Html {
  return html`<tr>
    <th scope="row">${name}</th>
    <td data-label="where">${phase === '' ? 'before the installer' : html`<code>${oneLine(phase, 120)}</code>`}</td>
    <td data-label="at" class="short">${at}</td>
    <td data-label="seen"><code>${seen === '' ? 'nothing' : oneLine(seen, 300)}</code></td>
  </tr>`;
}

/** Every attempt's failure with its lines in context, the last one first: it is the one that counts. */
export function failures(run: RunReport, logs: readonly AttemptLog[]): Html {
  const failed = logs.filter(({ attempt }) => attempt.failure !== undefined).reverse();
  if (failed.length === 0) return html``;
  return html`<section aria-labelledby="failures">
    <h2 id="failures">${run.verdict === 'healed' ? 'What was healed' : 'What failed'}</h2>
    ${failed.map((log) => failure(run, log))}
  </section>`;
}

function failure(run: RunReport, log: AttemptLog): Html {
  const record = log.attempt.failure;
  if (record === undefined) return html``;
  return html`<h3>Attempt ${log.attempt.number}, phase <code>${oneLine(record.phase, 120)}</code></h3>
    <p>${capitalised(reasonText(record))}.${record.class === 'unknown' ? undefined : classOf(record)}</p>
    ${failureExcerpt(run, log)}`;
}

function classOf(record: FailureRecord): Html {
  return html` Recognised as <code>${oneLine(record.class, 100)}</code> with confidence ${record.confidence.toFixed(2)}.`;
}

/** The heals tried; where one worked, how to keep what it changed. */
export function heals(run: RunReport): Html {
  if (run.heals.length === 0) return html``;
  const command = patchCommand(run);
  const patch =
    command === undefined ? undefined : html`<p>The configuration’s changes: <code>${oneLine(command, 200)}</code></p>`;
  return html`<section aria-labelledby="heals">
    <h2 id="heals">Heals</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">heal</th>
          <th scope="col">for</th>
          <th scope="col">confidence</th>
          <th scope="col">before</th>
          <th scope="col">outcome</th>
          <th scope="col">went on by</th>
        </tr>
      </thead>
      <tbody>
        ${run.heals.slice(0, HEALS_SHOWN).map(healRow)}
      </tbody>
    </table>
    ${patch}
  </section>`;
}

function healRow(heal: HealRecord): Html {
  return html`<tr>
    <th scope="row">${oneLine(heal.name, 120)}<br /><span class="soft">${oneLine(heal.title, 200)}</span></th>
    <td data-label="for" class="short"><code>${oneLine(heal.class, 100)}</code></td>
    <td data-label="confidence" class="short">${heal.confidence.toFixed(2)}</td>
    <td data-label="before" class="short">${seenText(heal)}</td>
    <td data-label="outcome">
      <span class="status ${heal.outcome === 'worked' ? 'pass' : 'skip'}">${heal.outcome}</span>:
      ${oneLine(heal.reason, 300)}${heal.files > 0 ? `; it changed ${plural(heal.files, 'file')}` : ''}
    </td>
    <td data-label="went on by" class="short">${heal.resumed}</td>
  </tr>`;
}

/** The checks, red ones first. */
export function checks(run: RunReport): Html {
  if (run.checks.length === 0) return html``;
  const order = ['fail', 'skip', 'pass'];
  const sorted = [...run.checks].sort((a, b) => order.indexOf(a.status) - order.indexOf(b.status));
  const passed = run.checks.filter((check) => check.status === 'pass').length;
  const more = sorted.length - CHECKS_SHOWN;
  return html`<section aria-labelledby="checks">
    <h2 id="checks">Checks: ${passed} of ${run.checks.length} passed</h2>
    <table class="stack">
      <thead>
        <tr>
          <th scope="col">result</th>
          <th scope="col">check</th>
          <th scope="col">seen</th>
          <th scope="col" class="number">took</th>
        </tr>
      </thead>
      <tbody>
        ${sorted.slice(0, CHECKS_SHOWN).map(checkRow)}
      </tbody>
    </table>
    ${more > 0 ? html`<p class="soft">… ${plural(more, 'check')} left out</p>` : undefined}
  </section>`;
}

const CHECK_WORDS: Readonly<Record<CheckResult['status'], string>> = { pass: '✓ pass', fail: '✗ fail', skip: '– skip' };

function checkRow(check: CheckResult): Html {
  return html`<tr class="${check.status}-row">
    <td class="status ${check.status}">${CHECK_WORDS[check.status]}</td>
    <th scope="row">${oneLine(check.name, 200)}</th>
    <td><code>${oneLine(check.detail, 600)}</code></td>
    <td class="number">${durationText(check.durationMs)}</td>
  </tr>`;
}
