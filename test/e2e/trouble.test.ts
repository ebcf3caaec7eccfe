import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LogSummary, RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { LONG, openBench, parsed, type Bench, type Ended } from './bench.js';

interface Trouble {
  readonly what: string;
  /** The installer, a shell script. */
  readonly install: string;
  /** Further settings of `install:`. */
  readonly limits?: string;
  readonly check?: string;
  readonly report: Record<string, unknown>;
  readonly saw?: (report: RunReport, log: Buffer) => void;
}

const UNDIAGNOSED = { class: 'unknown', confidence: 0 };
const diagnosed = (name: string) => ({ class: name, confidence: expect.any(Number) as number });
const failure = (reason: string, line = reason, phase = '', diagnosis: object = UNDIAGNOSED) => ({
  verdict: 'failed',
  state: 'done',
  attempts: 1,
  checks: [],
  failures: [{ ...diagnosis, phase, line, offset: expect.any(Number) as number, reason }],
});
const SILENCE = expect.stringMatching(
  /^the installer printed nothing for (?:[2-9]|\d{2,}) s and was stopped; it was at: sleep 600$/,
) as string;
const passed = { verdict: 'passed', state: 'done', attempts: 1, failures: [] };

/** Installers that are no good, and what is said of each. */
const FAILING: Record<string, Trouble> = {
  silent: {
    what: 'prints nothing',
    install: 'sleep 600',
    limits: 'stall: 2s',
    report: failure(SILENCE, SILENCE, '', { class: 'timeout', confidence: 0.7 }),
  },
  'silent-later': {
    what: 'prints something, then nothing',
    install: 'echo ::PHASE::COPY; echo copying; sleep 600',
    limits: 'stall: 2s',
    report: failure(SILENCE, 'copying', 'COPY', { class: 'timeout', confidence: 0.7 }),
  },
  endless: {
    what: 'goes on for too long',
    install: 'while true; do echo still at it; sleep 0.2; done',
    limits: 'timeout: 3s',
    report: failure('the installer took longer than 3 s and was stopped', 'still at it', '', {
      class: 'timeout',
      confidence: 0.7,
    }),
  },
  dead: {
    what: 'dies at once',
    install: 'kill -9 "$PPID"',
    report: {
      // A shell says no more of a process that was killed, and what kills installers is the lack of memory.
      ...failure('the installer ended with exit status 137', 'Killed', '', diagnosed('memory.oom')),
      log: expect.objectContaining({ bytes: 7, verified: true }) as object,
    },
  },
  'no-such-thing': {
    what: 'is not there',
    install: 'exec ./nowhere.sh',
    report: failure(
      'the installer ended with exit status 127',
      expect.stringContaining('nowhere.sh: not found') as string,
      '',
      diagnosed('user.input'),
    ),
  },
  huge: {
    what: 'ends with a status that fits no byte',
    install: 'echo ::ERROR::no disk; exit 4099',
    report: failure('the installer ended with exit status 3', 'no disk'),
  },
  empty: {
    what: 'exits 0 and has installed nothing',
    install: 'echo all done',
    check: 'test -e "$NIXPROOF_ROOT/etc/installed"',
    report: {
      verdict: 'failed',
      failures: [],
      checks: [expect.objectContaining({ status: 'fail', detail: 'exit status 1:' }) as object],
    },
  },
  shot: {
    what: 'is killed from outside',
    install: 'echo before; kill -9 $(cat "$NIXPROOF_ROOT/var/lib/nixproof/attempt-1/pid"); sleep 600',
    report: failure('the installer was killed before it could say how it ended', 'before', '', {
      class: 'unknown',
      confidence: 0.9,
    }),
  },
};

/** Installers that are odd, and pass. */
const PASSING: Record<string, Trouble> = {
  'one-line': {
    what: 'prints a line of 10 MB',
    install: 'head -c 10000000 /dev/zero | tr "\\0" x; echo; echo last',
    report: { ...passed, log: expect.objectContaining({ bytes: 10_000_006, lines: 2, verified: true }) as object },
    saw: (_, log) => expect(log.length).toBe(10_000_006),
  },
  binary: {
    what: 'prints a megabyte of binary',
    install: 'head -c 1048576 /dev/urandom; exit 0',
    report: { ...passed, log: expect.objectContaining({ bytes: 1_048_576, verified: true }) as object },
  },
  hasty: {
    what: 'goes through 200 phases in a second',
    install: 'for i in $(seq 200); do echo "::PHASE::P$i"; done',
    report: passed,
    saw: ({ phases, historyEvents }) => {
      expect(phases.map(({ name }) => name)).toEqual([...Array.from({ length: 200 }, (_, i) => `P${i + 1}`), 'BOOT']);
      expect(historyEvents).toBeLessThan(200);
    },
  },
  leaky: {
    what: 'leaves a child behind that holds the log open',
    install: 'sleep 600 & (while true; do echo noise; sleep 0.1; done) & echo ready; exit 0',
    // The child writes on: what was copied is the beginning of the guest's log, or all of it.
    report: {
      ...passed,
      log: expect.toSatisfy(({ verified, partOf }: LogSummary) => verified || partOf?.same === true) as object,
    },
  },
  'no-newline': {
    what: 'ends without a newline',
    install: 'printf "::SUCCESS::all"',
    report: { ...passed, log: expect.objectContaining({ bytes: 14, lines: 1, verified: true }) as object },
  },
  writer: {
    what: 'writes below $NIXPROOF_ROOT',
    install:
      'echo yes >"$NIXPROOF_ROOT/etc/installed"; mkdir -p "$NIXPROOF_ROOT/boot/deep/down"; head -c 4096 /dev/zero >"$NIXPROOF_DISK"',
    check: 'cat "$NIXPROOF_ROOT/etc/installed"',
    report: { ...passed, checks: [expect.objectContaining({ status: 'pass', detail: 'yes' }) as object] },
  },
};

function configuration(troubles: Record<string, Trouble>): string {
  const profiles = Object.entries(troubles).map(([name, { limits, check }]) => {
    const checks = check === undefined ? '[]' : `[{ name: it is there, run: ${JSON.stringify(check)} }]`;
    return `  ${name}: { driver: sandbox, install: { kind: script, run: sh ./${name}.sh, ${limits ?? 'stall: 1m'} }, checks: ${checks} }\n`;
  });
  return `profiles:\n${profiles.join('')}`;
}

let bench: Bench;
beforeAll(async () => {
  bench = await openBench('own');
  await bench.worker();
});

describe.each([
  { kind: 'an installer that fails', troubles: FAILING, exit: 1 },
  { kind: 'an odd installer that passes', troubles: PASSING, exit: 0 },
])('$kind', ({ troubles, exit }) => {
  let ended: Ended;
  let suite: SuiteReport;

  beforeAll(async () => {
    const scripts = Object.entries(troubles).map(([name, { install }]) => [`${name}.sh`, `${install}\n`]);
    const folder = await bench.folder({
      'nixproof.yaml': configuration(troubles),
      ...(Object.fromEntries(scripts) as Record<string, string>),
    });
    ended = await bench.np(folder, 'test', '--parallel', '20', '--no-heal', '--json');
    suite = parsed<SuiteReport>(ended);
  });

  test.each(Object.entries(troubles).map(([name, trouble]) => ({ name, ...trouble })))(
    '$what',
    async ({ name, report, saw }) => {
      const run = suite.runs.find(({ profile }) => profile === name) as RunReport;
      expect(run).toMatchObject(report);
      saw?.(run, await readFile(path.join(run.artifacts, 'attempt-1', 'install.log')));
      expect(ended.stderr).toContain(`[${name}] ${exit === 0 ? '✓' : '✗'} ${name}: ${run.verdict} after `);
    },
  );

  test('the exit code is right and nothing is left', LONG, async () => {
    expect({ exit: ended.exit, verdict: suite.verdict }).toEqual({ exit, verdict: exit === 0 ? 'passed' : 'failed' });
    await bench.expectNothingLeft();
  });
});
