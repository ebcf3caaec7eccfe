import type { RecordedEvent, StreamEvent } from '../../../src/domain/event.js';
import type {
  CheckpointCost,
  CheckResult,
  HealRecord,
  FailureRecord,
  PhaseRecord,
  RunReport,
} from '../../../src/domain/run.js';
import type { ReportSource } from '../../../src/reports/reporter.js';

const START = Date.parse('2026-01-05T10:00:00.000Z');
const PHASES = ['DISK_PARTITIONING', 'FILESYSTEM_MOUNTING', 'NIXOS_INSTALL', 'BOOTLOADER'] as const;

function phases(attempt: number, fromMs: number, durations: readonly number[]): readonly PhaseRecord[] {
  return durations.map((durationMs, index) => ({
    name: PHASES[index] ?? `PHASE_${index}`,
    startedAt: new Date(START + fromMs + durations.slice(0, index).reduce((a, b) => a + b, 0)).toISOString(),
    durationMs,
    attempt,
  }));
}

function check(name: string, status: CheckResult['status'], detail: string): CheckResult {
  return { name, status, detail, durationMs: 420 };
}

const GREEN = [
  check('root is btrfs', 'pass', 'btrfs'),
  check('sshd is active', 'pass', 'active'),
  check('no failed units', 'pass', '0 loaded units listed'),
];

const DISK_FAILURE: FailureRecord = {
  class: 'disk.not-found',
  phase: 'DISK_PARTITIONING',
  line: "sgdisk: Problem opening /dev/sda for reading! Error is 2 (can't find it).",
  offset: 2000,
  confidence: 0.97,
  reason: 'the installer ended with exit status 4',
};

export const passed: RunReport = {
  run: 'server-20260105-k3f9',
  suite: 'suite-20260105-a1b2',
  profile: 'server',
  verdict: 'passed',
  state: 'done',
  driver: 'qemu',
  base: 'debian',
  host: 'bench-1',
  startedAt: new Date(START).toISOString(),
  durationMs: 240_000,
  attempts: 1,
  phases: phases(1, 12_000, [9_000, 2_000, 120_000, 20_000]),
  failures: [],
  heals: [],
  faults: [],
  checkpoints: [],
  checks: GREEN,
  metrics: {
    memory_available_mib: Array.from(
      { length: 900 },
      (_, i) => [START + i * 200, 3000 - 900 * Math.abs(Math.sin(i / 60)) - i] as const,
    ),
    disk_used_percent: Array.from({ length: 40 }, (_, i) => [START + i * 4000, i * 1.7] as const),
    load: [[START, 1]],
  },
  historyEvents: 84,
  log: { bytes: 1_482_113, lines: 21_004, sha256: 'a'.repeat(64), verified: true },
  bootedInstalled: true,
  notes: ['acceleration: tcg'],
  artifacts: '/home/me/.local/state/nixproof/runs/server-20260105-k3f9',
};

const WAITED: HealRecord = {
  number: 1,
  name: 'wait-for-udev',
  class: 'disk.not-found',
  title: 'Wait until the device is there',
  confidence: 0.62,
  phase: 'DISK_PARTITIONING',
  outcome: 'no-effect',
  resumed: 'phase',
  files: 0,
  seen: { worked: 0, notWorked: 0 },
  reason: 'the installer failed at the same point',
};

const CHECKPOINTS: readonly CheckpointCost[] = [
  { name: 'a1-p1', phase: 'DISK_PARTITIONING', attempt: 1, tookMs: 3300, bytes: 20 * 1024 ** 2 },
  { name: 'a2-p1-h2', phase: 'DISK_PARTITIONING', attempt: 2, tookMs: 800, bytes: 9 * 1024 ** 2 },
];

export const healed: RunReport = {
  ...passed,
  run: 'vm-20260105-h3al',
  profile: 'vm',
  verdict: 'healed',
  attempts: 2,
  durationMs: 300_000,
  phases: [...phases(1, 12_000, [41_000]), ...phases(2, 70_000, [9_000, 2_000, 150_000, 22_000])],
  checkpoints: CHECKPOINTS,
  failures: [DISK_FAILURE],
  heals: [
    WAITED,
    {
      number: 2,
      name: 'use-the-disk-there-is',
      class: 'disk.not-found',
      title: 'Name the disk that is there',
      confidence: 0.9,
      phase: 'DISK_PARTITIONING',
      outcome: 'worked',
      resumed: 'rerun',
      files: 1,
      seen: { worked: 7, notWorked: 1 },
      reason: 'the installer got past the failure',
    },
  ],
};

export const failed: RunReport = {
  ...passed,
  run: 'workstation-20260105-f41l',
  profile: 'workstation',
  verdict: 'failed',
  attempts: 2,
  durationMs: 130_000,
  phases: [...phases(1, 12_000, [41_000]), ...phases(2, 70_000, [44_000])],
  failures: [DISK_FAILURE, DISK_FAILURE],
  heals: [WAITED],
  checks: [],
  bootedInstalled: false,
};

export const redChecks: RunReport = {
  ...passed,
  run: 'server-20260105-r3dc',
  verdict: 'failed',
  checks: [...GREEN, check('fail2ban is active', 'fail', 'inactive (dead)'), check('gpu', 'skip', 'no such device')],
};

const stalled: RunReport = {
  ...failed,
  run: 'vm-20260105-st4l',
  profile: 'vm',
  attempts: 1,
  phases: phases(1, 12_000, [9_000, 2_000, 900_000]),
  durationMs: 925_000,
  failures: [
    {
      class: 'unknown',
      phase: 'NIXOS_INSTALL',
      line: 'copying path 4 of 900',
      offset: 9_999_999,
      confidence: 0,
      reason: 'the installer printed nothing for 900 s and was stopped',
    },
  ],
  heals: [],
};

export const error: RunReport = {
  ...failed,
  run: 'vm-20260105-3rr0',
  profile: 'vm',
  verdict: 'error',
  attempts: 0,
  phases: [],
  failures: [],
  heals: [],
  metrics: {},
  durationMs: 640,
  log: { bytes: 0, lines: 0, sha256: '', verified: false },
  fault: {
    code: 'HOST_NO_SPACE',
    message: 'The folder of runs has 12 MiB left and a machine needs 2 GiB.',
    hint: 'Run `nixproof cleanup --older-than 7d`.',
  },
};

export const cancelled: RunReport = {
  ...passed,
  run: 'vm-20260105-c4nc',
  profile: 'vm',
  verdict: 'cancelled',
  checks: [],
  phases: phases(1, 12_000, [9_000, 2_000, 30_000]),
  durationMs: 60_000,
  bootedInstalled: false,
};

export const running: RunReport = {
  ...cancelled,
  run: 'vm-20260105-runn',
  verdict: null,
  state: 'NIXOS_INSTALL, attempt 1',
};

export const everyRun: Readonly<Record<string, RunReport>> = {
  passed,
  healed,
  failed,
  redChecks,
  stalled,
  error,
  cancelled,
  running,
};

/** What a guest may send to break out of a report, in every place a guest's text can stand. */
export const ATTACKS: readonly string[] = [
  '<script>document.title="owned"</script>',
  '</script><script>document.title="owned"</script>',
  '</textarea></title></style><img src="http://198.51.100.7/x.png" onerror="document.title=\'owned\'">',
  '" onmouseover="document.title=\'owned\'" autofocus onfocus="document.title=\'owned\'',
  ']]><!--<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;-->',
  '\u001b[31mred\u001b[0m\u001b]8;;http://198.51.100.7\u0007link\u001b]8;;\u0007\u001b[2J\u009b2J\u0007',
  'nul \u0000 and \u0001\u0008\u000b\u007f\ufffe\uffff end',
  'lone \ud800 and \udc00 halves',
  'bidi \u202e\u2066evil\u2069 \u200b\u061c',
  '| a | b |\n|---|---|\n\n# heading\n```\n````sh\n@everyone ![x](http://198.51.100.7/x.png) $x$ \\| `',
  '```\n</details>\n~~~\n[x](javascript:alert(1)) www.evil.example',
  'A<&"\'`|'.repeat(150_000),
];

const HOSTILE = ATTACKS.join(' ');

export const hostile: RunReport = {
  ...healed,
  verdict: 'failed',
  run: `vm-${HOSTILE.slice(0, 400)}`,
  profile: HOSTILE,
  base: HOSTILE,
  host: HOSTILE,
  state: HOSTILE,
  attempts: 2,
  phases: ATTACKS.flatMap((name) => phases(1, 0, [1000]).map((phase) => ({ ...phase, name }))).concat(
    ATTACKS.map((name) => ({ name, startedAt: 'no date', durationMs: Number.NaN, attempt: 2 })),
  ),
  failures: ATTACKS.slice(0, 2).map((line) => ({
    ...DISK_FAILURE,
    class: HOSTILE,
    phase: HOSTILE,
    reason: HOSTILE,
    line,
  })),
  heals: ATTACKS.map((name, index) => ({
    ...WAITED,
    number: index + 1,
    name,
    class: name,
    title: name,
    phase: name,
    reason: name,
    outcome: index % 2 === 0 ? 'failed' : 'worked',
    resumed: 'rerun',
    files: 1,
  })),
  checks: ATTACKS.map((text) => check(text, 'fail', text)),
  metrics: Object.fromEntries(
    ATTACKS.map(
      (name) =>
        [
          name,
          [
            [START, 1],
            [START + 1, Number.POSITIVE_INFINITY],
            [START + 2, 3],
          ],
        ] as const,
    ),
  ),
  fault: { code: 'INTERNAL_HOSTILE', message: HOSTILE, hint: HOSTILE },
  checkpoints: ATTACKS.map((text) => ({ name: text, phase: text, attempt: 1, tookMs: 1, bytes: 1 })),
  pending: { name: HOSTILE, class: HOSTILE, title: HOSTILE, confidence: 0.5, commands: ATTACKS, until: HOSTILE },
  notes: ATTACKS,
  artifacts: HOSTILE,
};

/** The hostile texts as events of every kind. */
export function hostileEvents(): readonly RecordedEvent[] {
  return ATTACKS.flatMap((text, index): RecordedEvent[] => {
    const place = { offset: 1000 * index, at: START + index };
    return [
      { type: 'phase', name: text, ...place },
      { type: 'error', message: text, ...place },
      { type: 'progress', stage: text, details: text, fraction: 0.5, ...place },
      { type: 'build', derivation: text, status: 'started', ...place },
      { type: 'metric', name: text, value: 1, ...place },
      { type: 'line', text, truncatedBytes: 10_000_000, level: 0, ...place },
    ];
  });
}

/** A stream as an installer prints it; every line is a hundred bytes. `failAt` is the line the disk failure stands on. */
export function* installerEvents(lines: number, failAt?: number): Generator<RecordedEvent> {
  for (let index = 0; index < lines; index += 1) {
    yield { ...bodyOf(index, lines, failAt), offset: index * 100, at: START + 12_000 + index * 10 } as RecordedEvent;
  }
}

function bodyOf(index: number, lines: number, failAt: number | undefined): Omit<StreamEvent, 'offset'> {
  const phase = PHASES.findIndex((_, number) => index === Math.floor((lines / PHASES.length) * number));
  if (phase >= 0) return { type: 'phase', name: PHASES[phase] ?? '' } as StreamEvent;
  if (index === failAt) return { type: 'line', text: DISK_FAILURE.line } as StreamEvent;
  if (index % 97 === 0) return { type: 'warning', message: `slow mirror, waiting (${index})` } as StreamEvent;
  if (index % 31 === 0)
    return {
      type: 'progress',
      stage: 'copy',
      details: `path ${index} of ${lines}`,
      fraction: index / lines,
    } as StreamEvent;
  if (index % 13 === 0) return { type: 'line', text: 'NAME   MAJ:MIN RM  SIZE RO TYPE MOUNTPOINTS' } as StreamEvent;
  return {
    type: 'line',
    text: `copying path '/nix/store/${String(index).padStart(32, '0')}-package-1.${index}' to the installed system`,
  } as StreamEvent;
}

/** A source whose every attempt has the same events. */
export function sourceOf(run: RunReport, events: () => Iterable<RecordedEvent> = () => []): ReportSource {
  return {
    run,
    async *events() {
      yield events();
    },
  };
}
