import { beforeAll, describe, expect, it } from 'vitest';
import { runCommand } from '../../../src/host/process.js';
import { renderSuiteJunit } from '../../../src/reports/index.js';
import { cancelled, error, everyRun, failed, healed, hostile, passed, redChecks, running } from './fixtures.js';
import { toolIsHere } from './tool.js';

/** Reads with a real XML parser and gives, for every testcase, its name and its outcome. */
const READER = `
import json, sys, xml.dom.minidom
document = xml.dom.minidom.parseString(sys.stdin.buffer.read())
outcome = lambda case: [n.tagName for n in case.childNodes if n.nodeType == 1 and n.tagName in ('failure', 'error', 'skipped')]
counts = lambda node: [int(node.getAttribute(k)) for k in ('tests', 'failures', 'errors', 'skipped')]
print(json.dumps({
  'cases': [[c.getAttribute('name'), *outcome(c)] for c in document.getElementsByTagName('testcase')],
  'counts': counts(document.documentElement),
  'suites': [[s.getAttribute('name'), *counts(s)] for s in document.getElementsByTagName('testsuite')],
  'properties': {p.getAttribute('name'): p.getAttribute('value') for p in document.getElementsByTagName('property')},
}))
`;

interface Read {
  readonly cases: readonly (readonly string[])[];
  readonly counts: readonly number[];
  readonly suites: readonly (readonly (string | number)[])[];
  readonly properties: Readonly<Record<string, string>>;
}

async function read(xml: string): Promise<Read> {
  return JSON.parse(await runCommand('python3', ['-c', READER], { input: xml })) as Read;
}

const CHECKS = [['check: root is btrfs'], ['check: sshd is active'], ['check: no failed units']];

describe('junit, read by a real parser', () => {
  let python = false;
  beforeAll(async () => {
    python = await toolIsHere('python3', ['-c', 'import xml.dom.minidom']);
  });

  it.for([
    ['passed', [passed], [['installation'], ...CHECKS]],
    ['healed', [healed], [['installation'], ['installation, attempt 2'], ...CHECKS]],
    [
      'failed',
      [failed],
      [
        ['installation', 'failure'],
        ['installation, attempt 2', 'failure'],
      ],
    ],
    [
      'red checks',
      [redChecks],
      [['installation'], ...CHECKS, ['check: fail2ban is active', 'failure'], ['check: gpu', 'skipped']],
    ],
    ['error before the installer', [error], [['installation', 'error']]],
    [
      'error after the installer',
      [{ ...error, attempts: 1, checks: passed.checks }],
      [['installation'], ...CHECKS, ['bench', 'error']],
    ],
    ['cancelled', [cancelled], [['installation', 'skipped']]],
    ['running', [running], [['installation', 'skipped']]],
    ['failed for no reason on record', [{ ...failed, attempts: 1, failures: [] }], [['installation', 'failure']]],
  ] as const)('%s', async ([, runs, cases], { skip }) => {
    if (!python) skip('python3 is not installed');
    const found = await read(renderSuiteJunit(runs));
    expect([...found.cases].sort()).toEqual([...cases].sort());
    expect(found.properties['verdict']).toBe(runs[0].verdict ?? 'running');
  });

  it('counts a suite of several runs', async ({ skip }) => {
    if (!python) skip('python3 is not installed');
    const found = await read(renderSuiteJunit(Object.values(everyRun)));
    expect(found.counts).toEqual([21, 4, 1, 3]);
    expect(found.suites[0]).toEqual(['nixproof.server', 4, 0, 0, 0]);
    expect(found.properties['healed-by']).toBe('use-the-disk-there-is');
  });

  it('stays well-formed and bounded whatever the guest sent', async ({ skip }) => {
    if (!python) skip('python3 is not installed');
    const xml = renderSuiteJunit([hostile]);
    expect(Buffer.byteLength(xml)).toBeLessThan(1_000_000);
    const found = await read(xml);
    expect(found.cases).toHaveLength(2 + hostile.checks.length);
    expect(found.cases[2]?.[0]).toContain('<script>document.title="owned"</script>');
  });
});

it('a healed run is no plain pass and no failure', () => {
  const xml = renderSuiteJunit([healed]);
  expect(xml).toContain('HEALED: this attempt failed in DISK_PARTITIONING (disk.not-found): the installer ended');
  expect(xml).not.toContain('<failure');
});
