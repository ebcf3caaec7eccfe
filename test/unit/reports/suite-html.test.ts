import { expect, test } from 'vitest';
import type { SuiteReport } from '../../../src/domain/suite.js';
import { renderSuiteHtml } from '../../../src/reports/suite-html.js';
import { failed, healed, passed } from './fixtures.js';

const EVIL = '<script>alert(1)</script>" onload="x';
const suite = (runs: SuiteReport['runs']): SuiteReport => ({ suite: 'suite-1', verdict: 'failed', runs });

test('a suite’s page has its verdict, every run with a link to its page, and what changed', () => {
  const page = renderSuiteHtml(
    {
      ...suite([passed, healed, failed]),
      changes: [
        { profile: 'vm', driver: 'qemu', kind: 'slower', run: 'b', before: 'a', text: '+40 % against the last 10' },
      ],
    },
    ({ run }) => `${run}.html`,
  );
  expect(page).toContain('3 runs: 1 passed, 1 healed, 1 failed');
  expect(page).toContain('vm on qemu became slower: +40 % against the last 10');
  for (const { run, profile } of [passed, healed, failed])
    expect(page).toContain(`<a href="${run}.html">${profile}</a>`);
});

test('guest text is inert in it', () => {
  const page = renderSuiteHtml(
    {
      ...suite([
        { ...failed, profile: EVIL, failures: failed.failures.map((one) => ({ ...one, reason: EVIL, phase: EVIL })) },
      ]),
      changes: [{ profile: EVIL, driver: 'qemu', kind: 'broke', run: EVIL, before: EVIL, text: EVIL }],
    },
    () => undefined,
  );
  expect(page).not.toContain('<script>alert');
  expect(page).not.toContain('" onload="x');
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
});
