import { expect, test } from 'vitest';
import type { SuiteReport } from '../../../src/domain/suite.js';
import { reportProblems } from '../../report-schema.js';
import { everyRun } from './fixtures.js';

const runs = Object.values(everyRun);
const suite: SuiteReport = { suite: 'suite-20260105-100000-0001', verdict: 'failed', runs };

test('reports of every verdict are as the published schema says', () => {
  expect(reportProblems(suite)).toEqual([]);
});

const WRONG: readonly (readonly [string, unknown])[] = [
  ['a verdict that is none', { ...suite, verdict: 'green' }],
  ['a run without a log', { ...suite, runs: [{ ...runs[0], log: undefined }] }],
  ['a field that nobody published', { ...suite, runs: [{ ...runs[0], extra: 1 }] }],
  ['a metric that is no series', { ...suite, runs: [{ ...runs[0], metrics: { load: [1, 2] } }] }],
];

test.each(WRONG)('%s is not', (_, wrong) => {
  expect(reportProblems(JSON.parse(JSON.stringify(wrong)))).not.toEqual([]);
});
