import type { RunReport } from '../domain/run.js';
import { element, type XmlElement } from '../domain/xml.js';
import { oneLine } from './escape.js';
import { checkCase, className, installations } from './junit-cases.js';
import { secondsText } from './quantities.js';
import type { Reporter } from './reporter.js';
import { meaningOf } from './outcome.js';
import { storyOf } from './story.js';
import { xmlDocument } from './xml.js';

/** One run as JUnit XML, in the dialect CI systems share (testsuites/testsuite/testcase). */
export const junitReporter: Reporter = {
  format: 'junit',
  render: async ({ run }) => renderSuiteJunit([run]),
};

/** Any number of runs as one JUnit file, a `testsuite` each. */
export function renderSuiteJunit(runs: readonly RunReport[]): string {
  const suites = runs.map(suiteOf);
  const total = (key: 'tests' | 'failures' | 'errors' | 'skipped') =>
    suites.reduce((sum, suite) => sum + Number(suite.attributes[key]), 0);
  return xmlDocument(
    element(
      'testsuites',
      {
        name: 'nixproof',
        tests: total('tests'),
        failures: total('failures'),
        errors: total('errors'),
        skipped: total('skipped'),
        time: secondsText(runs.reduce((sum, run) => sum + run.durationMs, 0)),
      },
      suites,
    ),
  );
}

function suiteOf(run: RunReport): XmlElement {
  const cases = [...installations(run), ...run.checks.map((check) => checkCase(run, check))];
  const count = (name: string) =>
    cases.filter(({ content }) => typeof content !== 'string' && content.some((child) => child.name === name)).length;
  return element(
    'testsuite',
    {
      name: className(run),
      tests: cases.length,
      failures: count('failure'),
      errors: count('error'),
      skipped: count('skipped'),
      time: secondsText(run.durationMs),
      timestamp: run.startedAt.replace(/\.\d+Z?$|Z$/, ''),
      hostname: run.host ?? '',
    },
    [properties(run), ...cases, element('system-out', {}, systemOut(run))],
  );
}

function properties(run: RunReport): XmlElement {
  const healedBy = run.heals.filter((heal) => heal.outcome === 'worked').map((heal) => heal.name);
  const all: Readonly<Record<string, string | undefined>> = {
    run: run.run,
    suite: run.suite,
    verdict: run.verdict ?? 'running',
    driver: run.driver,
    base: run.base,
    attempts: String(run.attempts),
    'healed-by': run.verdict === 'healed' ? healedBy.join(', ') : undefined,
    'injected-faults': run.faults.map(({ name }) => name).join(', '),
    'history-events': String(run.historyEvents),
    'log-sha256': run.log.sha256,
    artifacts: run.artifacts,
  };
  const entries = Object.entries(all).filter(([, value]) => value !== undefined && value !== '');
  return element(
    'properties',
    {},
    entries.map(([name, value]) => element('property', { name, value })),
  );
}

function systemOut(run: RunReport): string {
  const heals = run.heals.map((heal) => `heal ${oneLine(heal.name, 100)} (for ${heal.class}): ${heal.outcome}`);
  return [storyOf(run), meaningOf(run), ...heals, ...run.notes.slice(0, 50).map((note) => oneLine(note))].join('\n');
}
