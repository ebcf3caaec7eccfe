import { digestEvents, type DigestLimits } from './digest.js';
import { oneLine } from './escape.js';
import { facts } from './html/facts.js';
import { logSection, type AttemptLog } from './html/log.js';
import { metrics } from './html/metrics.js';
import { pageOf } from './html/page.js';
import { screenSection } from './html/screen.js';
import { banner, checks, failures, heals, injected } from './html/sections.js';
import { html } from './html/template.js';
import { timeline } from './html/timeline.js';
import { attemptsOf, lookOf } from './outcome.js';
import type { Reporter, ReportSource } from './reporter.js';

/** Attempts whose log is shown, the last ones. */
const ATTEMPTS_SHOWN = 6;
const LIMITS: DigestLimits = { head: 60, tail: 240, phases: 100, notable: 300, before: 12, after: 8 };

/** One run as one file that needs nothing else: verdict and story first, the log last. */
export const htmlReporter: Reporter = {
  format: 'html',
  async render(source) {
    const { run } = source;
    const logs = await attemptLogs(source);
    const picture = screenSection(run, await source.screen?.());
    const body = html`${banner(run)}
      <main>
        ${injected(run)}${failures(run, logs)}${picture}${heals(run)}${checks(run)}${timeline(run)}${metrics(run)}${facts(run)}${logSection(run, logs)}
      </main>`;
    const title = `${lookOf(run.verdict).word}: ${oneLine(run.profile, 80)}, nixproof`;
    return pageOf(title, body, { pictures: picture.markup.includes('<img') });
  },
};

async function attemptLogs(source: ReportSource): Promise<readonly AttemptLog[]> {
  const logs: AttemptLog[] = [];
  for (const attempt of attemptsOf(source.run).slice(-ATTEMPTS_SHOWN)) {
    logs.push({ attempt, digest: await digestEvents(source.events(attempt.number), LIMITS, attempt.failure?.offset) });
  }
  return logs;
}
