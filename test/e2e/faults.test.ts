import { beforeAll, describe, expect, test } from 'vitest';
import type { SuiteReport } from '../../src/domain/suite.js';
import { LONG, onlyRun, openBench, parsed, type Bench } from './bench.js';

const CONFIG = `profiles:
  box:
    driver: sandbox
    machine: { disks: [16M] }
    install: { kind: script, run: sh install.sh, reboot: false, timeout: 5m }
    checks: [{ name: it was written, run: 'grep -q written "$NIXPROOF_ROOT/dev/vdb"' }]
`;
/** Writes to the disk that it names, and takes long enough to be killed in the middle. */
const INSTALL = `set -eu
nixproof-phase WRITE
disk=/dev/vdb
[ -e "$NIXPROOF_ROOT$disk" ] || { echo "mkfs: Could not stat device $disk - No such file or directory." >&2; exit 1; }
for part in 1 2 3 4 5 6; do echo "part $part"; sleep 0.3; done
echo written >"$NIXPROOF_ROOT$disk"
nixproof-phase DONE
`;

describe('faults in a sandbox', () => {
  let bench: Bench;
  let folder: string;
  beforeAll(async () => {
    bench = await openBench('local stack');
    folder = await bench.folder({ 'nixproof.yaml': CONFIG, 'install.sh': INSTALL });
  });

  test('every fault that makes sense there comes as expected, and nothing is left', LONG, async () => {
    const ended = await bench.np(folder, 'test', '--drill', '--json');
    const { drills, runs } = parsed<SuiteReport>(ended);
    expect(
      drills?.map(({ fault, detectedAs, healedBy, verdict, ok }) => [fault, detectedAs, healedBy, verdict, ok]),
    ).toEqual([
      ['disk-renamed', 'disk.not-found', ['use-the-found-disk'], 'healed', true],
      ['installer-killed', 'unknown', ['run-again-after-a-kill'], 'healed', true],
      ['worker-crash', null, [], 'passed', true],
    ]);
    expect(drills?.map(({ seen }) => seen)).toEqual([
      expect.stringMatching(
        /^there is no \/dev\/sdz, and the tree names it:\n(?:.*\n)*\.\/install\.sh:3:disk=\/dev\/sdz/,
      ),
      expect.stringMatching(/^process \d+ is gone without an exit status$/),
      expect.stringMatching(/^worker process \d+ is gone, \d+ goes on$/),
    ]);
    expect(runs.map(({ faults }) => faults.map(({ phase }) => phase))).toEqual([[''], ['WRITE'], ['WRITE']]);
    expect(ended.exit).toBe(0);
    await bench.expectNothingLeft();
  });

  test('the matrix says what was not as expected, and the exit code too', LONG, async () => {
    const unhealed = await bench.folder({
      'nixproof.yaml': `${CONFIG}    drills: [disk-renamed]\n`,
      'install.sh': INSTALL,
    });
    const { exit, stdout } = await bench.np(unhealed, 'test', '--drill', '--no-heal');
    expect(stdout).toMatch(/^✗ +box +disk-renamed +there is no .* disk\.not-found +- +failed +healed$/m);
    expect(stdout).toContain('0 of 1 drills came as expected');
    expect(exit).toBe(1);
  });

  test('a phase that never comes is told', LONG, async () => {
    const ended = await bench.np(folder, 'test', '--inject', 'installer-killed@NEVER', '--json');
    const { verdict, faults, notes } = onlyRun(ended);
    expect({ verdict, faults }).toEqual({ verdict: 'passed', faults: [] });
    expect(notes).toContain(
      'installer-killed@NEVER was not injected: the installer never waited at the beginning of such a phase',
    );
  });

  test.each([
    ['dns-brokn', 'CONFIG_FLAG', '--inject: unknown fault "dns-brokn", did you mean "dns-broken"?'],
    ['tmp-full@', 'CONFIG_FLAG', '--inject: expected a phase behind the @, as in tmp-full@NIX_BUILD, got "tmp-full@"'],
    ['dns-broken', 'UNSUPPORTED_FAULT', 'dns-broken cannot be injected with driver sandbox (box)'],
  ])('--inject %s is refused: %s', async (fault, code, message) => {
    const ended = await bench.np(folder, 'test', '--inject', fault, '--json');
    expect(parsed<{ error: object }>(ended).error).toMatchObject({ code, message });
    expect(ended.exit).toBe(2);
  });
});
