import { expect, test } from 'vitest';
import { newReport } from '../../../src/domain/new-report.js';
import type { RunReport } from '../../../src/domain/run.js';
import { renderAnnotations } from '../../../src/reports/annotations.js';

const run = (more: Partial<RunReport>): RunReport => ({
  ...newReport({ run: 'vm-1', suite: 'suite-1', profile: 'vm', driver: 'qemu', startedAt: '2026-01-01T00:00:00Z' }),
  verdict: 'failed',
  ...more,
});
const failed = (line: string, phase = 'NIX_BUILD') =>
  run({ failures: [{ class: 'nix.eval', phase, line, offset: 0, confidence: 0.9, reason: 'exit status 1' }] });
const heal = {
  number: 1,
  class: 'disk.busy',
  title: '',
  confidence: 1,
  phase: '',
  resumed: 'rerun',
  files: 0,
  reason: '',
} as const;

test.each([
  [
    'the place that a tool names in the deployed tree',
    failed("error: undefined variable 'pkg' at /root/config/hosts/vm.nix:12:5"),
    "::error file=hosts/vm.nix,line=12,col=5,title=vm%3A nix.eval in NIX_BUILD::error: undefined variable 'pkg' at /root/config/hosts/vm.nix:12:5\n",
  ],
  ['no place outside of it', failed('see /etc/passwd'), '::error title=vm%3A nix.eval in NIX_BUILD::see /etc/passwd\n'],
  [
    'guest text that would be a command, as text',
    failed('a\n::set-output name=x::y\r\n%0A::error::z', 'P,file=x::'),
    '::error title=vm%3A nix.eval in P%2Cfile=x%3A%3A::a ::set-output name=x::y %250A::error::z\n',
  ],
  [
    'red checks',
    run({ checks: [{ name: 'sshd', status: 'fail', detail: 'inactive', durationMs: 1 }] }),
    '::error title=vm%3A sshd::inactive\n',
  ],
  [
    "the bench's own fault",
    run({ verdict: 'error', fault: { code: 'HOST_DISK_FULL', message: 'no room' } }),
    "::error title=vm%3A the bench's own fault::HOST_DISK_FULL no room\n",
  ],
  [
    'a healed run, as a warning',
    run({
      verdict: 'healed',
      heals: [{ ...heal, name: 'unmount', outcome: 'worked', seen: { worked: 0, notWorked: 0 } }],
    }),
    '::warning title=vm was healed::needed unmount; nothing in the configuration was changed\n',
  ],
  [
    'a healed run whose configuration was changed, with the command that has the change',
    run({
      verdict: 'healed',
      heals: [{ ...heal, name: 'rename', files: 1, outcome: 'worked', seen: { worked: 0, notWorked: 0 } }],
    }),
    '::warning title=vm was healed::needed rename: `nixproof patch vm-1` has what to commit\n',
  ],
  [
    'a drill that was healed, without blame of the configuration',
    run({
      verdict: 'healed',
      heals: [{ ...heal, name: 'rename', files: 1, outcome: 'worked', seen: { worked: 0, notWorked: 0 } }],
      faults: [{ name: 'dns-broken', phase: '', at: '', seen: '' }],
    }),
    '::warning title=vm was healed::needed rename against faults that were injected on purpose\n',
  ],
  [
    'red checks of a run that was healed before, and not what was healed',
    run({
      ...failed('no such disk'),
      attempts: 2,
      checks: [{ name: 'sshd', status: 'fail', detail: 'inactive', durationMs: 1 }],
    }),
    '::error title=vm%3A sshd::inactive\n',
  ],
  ['nothing of a pass', run({ verdict: 'passed' }), ''],
])('annotations tell %s', (_, report, text) => {
  expect(renderAnnotations([report])).toBe(text);
});
