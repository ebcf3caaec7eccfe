import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { diagnoseFailed } from '../../../src/activities/install/diagnose-attempt.js';
import { diagnoseLog } from '../../../src/diagnosis/diagnose-log.js';
import { createDiagnoser } from '../../../src/diagnosis/diagnose.js';
import { createTemplateMiner } from '../../../src/diagnosis/templates.js';
import { runFiles } from '../../../src/records/artifacts.js';
import { bestOf, diagnosesOf } from './reading.js';

const RECORDED = new URL('recorded/', import.meta.url);
const recorded = readdirSync(RECORDED);
const diagnose = (log: string | Uint8Array) => diagnoseLog([Buffer.from(log)]);

describe('logs recorded from real tools', () => {
  const failures = recorded.filter((file) => !file.startsWith('success-'));
  test.each(failures)('%s', async (file) => {
    const [best] = await diagnose(readFileSync(new URL(file, RECORDED)));
    expect(file.startsWith(`${best?.class ?? 'nothing'}-`)).toBe(true);
  });

  test.each(recorded.filter((file) => file.startsWith('success-')))('%s', async (file) => {
    expect(await diagnose(readFileSync(new URL(file, RECORDED)))).toEqual([]);
  });

  test("a build's JSON log that failed, and one that passed", async () => {
    const nix = (name: string) => readFileSync(new URL(`../stream/recorded/nix-2.8-${name}.log`, import.meta.url));
    expect((await diagnose(nix('build-failed')))[0]?.class).toBe('nix.build');
    expect(await diagnose(nix('build-passed'))).toEqual([]);
    expect(await diagnose(nix('copy'))).toEqual([]);
  });
});

describe('the cause beats the noise', () => {
  const NOISE = Array.from({ length: 20 }, (_, index) => `make[1]: *** [Makefile:${index}: all] Error 2`);

  test.each([
    [
      'disk.full',
      [
        'cp: error writing x: No space left on device',
        ...NOISE,
        "error: builder for '/nix/store/a-x.drv' failed with exit code 2",
      ],
    ],
    [
      'disk.full',
      [
        "error: builder for '/nix/store/a-x.drv' failed with exit code 2",
        '> write: No space left on device',
        "foo.service: Failed with result 'exit-code'.",
      ],
    ],
    [
      'bootloader',
      [
        'Could not prepare Boot variable: No space left on device',
        'grub-install: error: efibootmgr failed to register the boot entry',
      ],
    ],
    [
      'memory.oom',
      [
        '[ 1.000000] Out of memory: Killed process 42 (cc1plus)',
        "error: builder for '/nix/store/a-x.drv' failed with exit code 1",
      ],
    ],
    [
      'network.dns',
      [
        'curl: (6) Could not resolve host: x',
        "error: unable to download 'https://x/': HTTP error 0",
        'installation failed',
      ],
    ],
    ['auth.secrets', ['sops-install-secrets: failed to decrypt', "foo.service: Failed with result 'exit-code'."]],
    ['timeout', ['Timed out waiting for device /dev/vda1.', 'Dependency failed for /boot.']],
    [
      'mount.failed',
      ['mount: /boot: wrong fs type, bad option, bad superblock on /dev/vda1.', 'Timed out waiting for boot.mount'],
    ],
    [
      'nix.eval',
      ["error: undefined variable 'x'", "error: 1 dependencies of derivation '/nix/store/a-y.drv' failed to build"],
    ],
  ])('%s', (name, lines) => {
    expect(bestOf(lines.join('\n'))).toBe(name);
  });

  test('and still tells the rest, less sure', () => {
    const found = diagnosesOf("No space left on device\nfoo.service: Failed with result 'exit-code'.");
    expect(found.map((diagnosis) => diagnosis.class)).toEqual(['disk.full', 'service.failed']);
    expect(found[1]?.confidence).toBeLessThan((found[0]?.confidence ?? 0) / 1.5);
  });
});

describe('what is no failure', () => {
  test('a retry, but not one that comes again and again', () => {
    const retry = "warning: error: unable to download 'https://x/y': Could not resolve host: x; retrying in 300 ms";
    expect(diagnosesOf(retry)).toEqual([]);
    expect(bestOf(`${retry}\n${retry}\n${retry}`)).toBe('network.dns');
  });
});

describe('a message of success', () => {
  const FULL = 'cp: error writing x: No space left on device';
  const SUCCESSES = [
    'installation finished!',
    '### Done! ###',
    'Installation complete.',
    'done. The new configuration is /nix/store/x',
    'Job succeeded',
    'Finished: SUCCESS',
    '[SUCCESS] system installed',
  ];
  const REFUSED = 'ssh: connect to host 192.0.2.1 port 22: Connection refused';
  const BUILD = "error: builder for '/nix/store/a-x.drv' failed with exit code 2";
  const RETRY = "warning: error: unable to download 'https://x/y': Could not resolve host: x; retrying in 300 ms";

  test.each(SUCCESSES)('%s does not outweigh a failure of something else', (success) => {
    expect(bestOf(`${FULL}\n${success}`)).toBe('disk.full');
    expect(bestOf(`[ERROR] the frobnicator went away\n${success}`)).toBe('unknown');
  });

  test.each([
    ['the retries before it', `${RETRY}\n${RETRY}\n${RETRY}`, 'Installation complete.', 'network.dns'],
    ['a build that failed before', BUILD, 'installation finished!', 'nix.build'],
    ['a machine that was restarting', REFUSED, '### Done! ###', 'ssh.connection'],
    [
      'one without a route',
      REFUSED.replace('Connection refused', 'No route to host'),
      '### Done! ###',
      'network.unreachable',
    ],
  ])('answers %s', (_what, before, success, name) => {
    expect(diagnosesOf(`${before}\n${success}`)).toEqual([]);
    // What is said after it is not answered.
    expect(bestOf(`${success}\n${before}`)).toBe(name);
  });

  test('answers nothing of a class of which it leaves something open', () => {
    const elsewhere = 'curl: (7) Failed to connect to 192.0.2.9 port 80: No route to host';
    const log = `${REFUSED.replace('Connection refused', 'No route to host')}\n${elsewhere}\n### Done! ###`;
    expect(bestOf(log)).toBe('network.unreachable');
  });

  test.each(SUCCESSES)('%s outweighs nothing where the installer is known to have failed', async (success) => {
    for (const before of [FULL, BUILD, REFUSED]) {
      const log = Buffer.from(`${before}\n${success}\n`);
      const found = (await diagnoseLog([log], { failed: true })).map((diagnosis) => diagnosis.class);
      expect(found).toEqual([bestOf(before)]);
    }
  });

  test.each(SUCCESSES)('an attempt that failed after %s is diagnosed', async (success) => {
    const runs = mkdtempSync(path.join(tmpdir(), 'np-attempt-'));
    onTestFinished(() => rmSync(runs, { recursive: true }));
    const files = runFiles(runs, 'vm-1').attempt(1);
    mkdirSync(path.dirname(files.log), { recursive: true });
    writeFileSync(files.log, `${BUILD}\n${REFUSED}\n${success}\n`);
    expect(
      (await diagnoseFailed({ file: files.log }, new AbortController().signal)).map((diagnosis) => diagnosis.class),
    ).toEqual(['ssh.connection', 'nix.build']);
  });
});

describe('a failure that no rule knows', () => {
  test('is unknown, with the most telling line and little confidence', () => {
    const [best, ...others] = diagnosesOf('starting\n[ERROR] the frobnicator went away\nbye');
    expect(others).toEqual([]);
    expect(best).toMatchObject({ class: 'unknown', line: 1, rule: '' });
    expect(best?.confidence).toBeLessThan(0.4);
  });
});

describe('templates of earlier successes', () => {
  test('keep what is always said from telling of an unknown failure', () => {
    const usual = createTemplateMiner();
    usual.learn('[ERROR] the widget 12 is not to be had');
    const diagnoser = createDiagnoser({ known: usual.state() });
    const log = ['[ERROR] the widget 99 is not to be had', '[ERROR] the frobnicator went away'];
    for (const [index, line] of log.entries()) diagnoser.take(line, index, (offset) => offset);
    expect(diagnoser.finish()).toMatchObject([{ class: 'unknown', line: 1, evidence: [log[1]] }]);
  });
});

describe('any log', () => {
  const FULL = 'cp: error writing x: No space left on device';
  const wrapped: readonly (readonly [string, string])[] = [
    ['plain', FULL],
    ['CRLF', `${FULL}\r`],
    ['colours', `\x1b[31m${FULL}\x1b[0m`],
    ['a progress bar', `10%\r50%\r${FULL}`],
    ['the journal', `Jan 02 03:04:05 host install[42]: ${FULL}`],
    ['GitHub Actions', `2026-01-02T03:04:05.1234567Z ##[error]${FULL}`],
    ['a command of GitHub Actions', `::error file=install.sh,line=3::${FULL}`],
    ['docker compose', `web-1  | ${FULL}`],
    ['our marker', `::ERROR::${FULL}`],
    ['Nix', `@nix ${JSON.stringify({ action: 'msg', level: 0, msg: `error: ${FULL}` })}`],
    ['the journal as JSON', JSON.stringify({ MESSAGE: FULL })],
    ['our events', JSON.stringify({ offset: 7, at: 1, type: 'error', message: FULL })],
  ];
  test.each(wrapped)('%s', async (_name, line) => {
    const [best] = await diagnose(`first\n${line}\nlast\n`);
    expect(best).toMatchObject({ class: 'disk.full', line: 1, offset: 6 });
  });

  test('however it is split', async () => {
    const log = Buffer.from(`a\nb\n${'x'.repeat(100_000)}\n${FULL}\nend\n`);
    for (const size of [1, 7, 4096, log.length]) {
      const chunks = Array.from({ length: Math.ceil(log.length / size) }, (_, at) =>
        log.subarray(at * size, (at + 1) * size),
      );
      expect((await diagnoseLog(chunks))[0]).toMatchObject({ class: 'disk.full', line: 3, offset: 100_005 });
    }
  });

  test('binary, without a newline, empty', async () => {
    expect(await diagnose(new Uint8Array(300_000).map((_, at) => (at * 7919) % 256))).toEqual([]);
    expect(await diagnose('')).toEqual([]);
    expect((await diagnose(FULL))[0]?.class).toBe('disk.full');
  });

  test('a message wrapped by a terminal', () => {
    expect(bestOf("error: flake 'git+file:///home/me/.config/nixpkgs' does not provide\n  attribute 'x'")).toBe(
      'nix.flake',
    );
  });

  test('evidence is bounded', () => {
    const [best] = diagnosesOf(
      Array.from(
        { length: 1000 },
        (_, at) => `${'x'.repeat(5000)}\n/${at}: No space left on device ${'y'.repeat(5000)}`,
      ).join('\n'),
    );
    expect(best?.evidence.length).toBeLessThanOrEqual(5);
    expect(best?.evidence.every((line) => line.length <= 500)).toBe(true);
  });
});
