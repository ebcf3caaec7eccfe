import { describe, expect, test } from 'vitest';
import { parseFault } from '../../../src/config/fault-spec.js';
import type { FaultName } from '../../../src/domain/fault.js';
import type { RunReport } from '../../../src/domain/run.js';
import { drillResult } from '../../../src/faults/drill.js';
import { passed } from '../reports/fixtures.js';

describe('a fault as it is written', () => {
  test.each([
    ['dns-broken', { name: 'dns-broken' }],
    ['tmp-full@NIX_BUILD', { name: 'tmp-full', phase: 'NIX_BUILD' }],
    ['tmp-full@a phase@home', { name: 'tmp-full', phase: 'a phase@home' }],
  ])('%s', (text, fault) => {
    expect(parseFault(text)).toEqual({ ok: true, fault });
  });

  test.each([
    ['dns-brokn', 'unknown fault "dns-brokn", did you mean "dns-broken"?'],
    ['dns-broken@', 'expected a phase behind the @, as in dns-broken@NIX_BUILD, got "dns-broken@"'],
    ['tmp-full@A\nB', 'expected a phase behind the @, as in tmp-full@NIX_BUILD, got "tmp-full@A\\nB"'],
  ])('%j is refused', (text, problem) => {
    expect(parseFault(text)).toEqual({ ok: false, problem });
  });
});

describe('what a drill came to', () => {
  const report = (name: FaultName, verdict: RunReport['verdict'], failureClass?: string): RunReport => ({
    ...passed,
    verdict,
    faults: [{ name, phase: '', at: '2026-01-05T10:00:00.000Z', seen: 'it' }],
    failures:
      failureClass === undefined
        ? []
        : [{ class: failureClass, phase: '', line: '', offset: 0, confidence: 0.9, reason: '' }],
  });

  test.each([
    ['dns-broken', 'healed', 'network.dns', true],
    ['dns-broken', 'healed', 'disk.full', false],
    ['dns-broken', 'failed', 'network.dns', false],
    ['dns-broken', 'passed', undefined, false],
    ['disk-full', 'failed', 'disk.full', true],
    ['disk-full', 'failed', 'unknown', false],
    ['disk-full', 'healed', 'disk.full', false],
    ['worker-crash', 'passed', undefined, true],
    ['worker-crash', 'error', undefined, false],
  ] as const)('%s that ended %s, found out as %s: %s', (name, verdict, failureClass, ok) => {
    expect(drillResult({ name }, report(name, verdict, failureClass))).toMatchObject({
      fault: name,
      seen: 'it',
      detectedAs: failureClass ?? null,
      verdict,
      ok,
    });
  });

  test('one that nobody saw is not as expected', () => {
    const unseen = { ...report('dns-broken', 'healed', 'network.dns'), faults: [] };
    expect(drillResult({ name: 'dns-broken', phase: 'COPY' }, unseen)).toMatchObject({
      fault: 'dns-broken@COPY',
      seen: '',
      ok: false,
    });
  });
});
