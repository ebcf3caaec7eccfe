import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { runShell } from '../../../src/checks/shell.js';
import { verify } from '../../../src/checks/verify.js';
import { NixproofError } from '../../../src/domain/error.js';
import type { Check } from '../../../src/domain/profile.js';
import type { Work } from '../../../src/domain/work.js';
import { layoutOf } from '../../../src/host/paths.js';
import { identify } from '../../../src/host/process.js';
import type { Driver, Machine } from '../../../src/machines/machine.js';
import { keyPairAt } from '../../../src/machines/keys.js';
import { createSandboxDriver } from '../../../src/machines/sandbox/driver.js';
import { createRedactor } from '../../../src/secrets/redactor.js';
import { visibleText } from '../../../src/stream/text.js';

const WORK: Work = { signal: new AbortController().signal, progress: () => undefined };
const ID = 'kinds';

let home: string;
let driver: Driver;
let machine: Machine;
beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'nixproof-kinds-'));
  driver = createSandboxDriver({ layout: layoutOf(home) });
  const shape = { memoryMiB: 256, cpus: 1, diskBytes: [], firmware: 'bios' } as const;
  machine = await driver.create({ id: ID, base: undefined, shape }, WORK);
});
afterAll(async () => {
  await machine[Symbol.asyncDispose]();
  await driver.destroy(ID, WORK);
  await rm(home, { recursive: true, force: true });
});

test('a secret is judged as it is, and not shown, whatever divides it', async () => {
  const redactor = createRedactor([Buffer.from('hunter2hunter2')]);
  const show = (text: string) => redactor.text(text);
  const say = (text: string) => `printf '${text}'`;
  const checks: Check[] = [
    { kind: 'run', name: 'whole', run: say('hunter2hunter2'), expect: 'hunter2hunter2' },
    { kind: 'run', name: 'divided', run: `${say('hunter2hun\\033(Bter2')}; exit 3` },
    { kind: 'run', name: 'typed over', run: `${say('hunter2xx\\b\\bhunter2')} >&2; exit 3` },
  ];
  const results = await verify(machine, checks, WORK, { loginRetryMs: 1, show });
  expect(results.map(({ status }) => status)).toEqual(['pass', 'fail', 'fail']);
  expect(results.map(({ detail }) => visibleText(detail)).join(' ')).not.toContain('hunter2hunter2');
});

async function seen(check: Check, on: Machine = machine) {
  const [result] = await verify(on, [check], WORK, { loginRetryMs: 1 });
  return [result?.status, result?.detail];
}

/** What the machine's systemctl answers, call by call; the last answer stays. */
interface Answer {
  readonly says: string;
  readonly exits: number;
}
async function systemctl(verb: string, answers: readonly Answer[], failedUnits = ''): Promise<void> {
  const calls = machine.resolvePath('/calls');
  await writeFile(calls, '');
  const cases = answers.map(
    ({ says, exits }, index) => `${index === answers.length - 1 ? '*' : index + 1}) echo '${says}'; exit ${exits};;`,
  );
  const script = `#!/bin/sh
echo "$*" >>"$NIXPROOF_ROOT/calls"
if [ "$1" = list-units ]; then printf '${failedUnits}'; exit 0; fi
[ "$1" = ${verb} ] || exit 64
case $(grep -c ^${verb} "$NIXPROOF_ROOT/calls") in
${cases.join('\n')}
esac
`;
  const file = machine.resolvePath('/usr/local/bin/systemctl');
  await writeFile(file, script);
  await chmod(file, 0o755);
}

describe('run', () => {
  test.each([
    ['exit 0', {}, 'pass', ''],
    ['echo why >&2; exit 3', {}, 'fail', 'exit status 3: why'],
    ['kill -9 $$', {}, 'fail', expect.stringMatching(/^exit status 137:/) as string],
    ['echo btrfs', { expect: 'btrfs' }, 'pass', 'btrfs'],
    ['echo ext4', { expect: 'btrfs' }, 'fail', 'expected "btrfs", got "ext4"'],
    ['echo btrfs2', { expect: 'btrfs' }, 'fail', 'expected "btrfs", got "btrfs2"'],
    ['echo none >&2', { expect: 'btrfs' }, 'fail', 'expected "btrfs", got "none"'],
    ['echo v1.2', { match: '^v\\d' }, 'pass', 'v1.2'],
    ['echo 1.2', { match: '^v\\d' }, 'fail', 'expected /^v\\d/, got "1.2"'],
  ] as const)('%s, %o: %s', async (run, more, status, detail) => {
    expect(await seen({ kind: 'run', name: 'it', run, ...more })).toEqual([status, detail]);
  });
});

describe('a check ends when its shell does', () => {
  const left = () => readFile(machine.resolvePath('/left'), 'utf8').then(Number);
  beforeEach(() => rm(machine.resolvePath('/left'), { force: true }));

  test.each([
    [
      'one in the background',
      'sleep 3000 & echo $! >"$NIXPROOF_ROOT/left"; until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo ok',
      'pass',
      'ok; still running: sleep',
    ],
    [
      'a daemon in a session of its own',
      `setsid sh -c 'echo $$ >"$NIXPROOF_ROOT/left"; exec sleep 3000' & until [ -s "$NIXPROOF_ROOT/left" ]; do :; done
       until [ "$(cat /proc/$(cat "$NIXPROOF_ROOT/left")/comm)" = sleep ]; do :; done`,
      'pass',
      'still running: sleep',
    ],
    [
      'one behind a failure',
      'sleep 3000 & echo $! >"$NIXPROOF_ROOT/left"; until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo no >&2; exit 4',
      'fail',
      'exit status 4: no; still running: sleep',
    ],
  ])('%s is not waited for, is named, and goes on', async (_, run, status, detail) => {
    expect(await seen({ kind: 'run', name: 'it', run })).toEqual([status, detail]);
    expect(await identify(await left())).toBeDefined();
  });

  test('what it printed is here to the last byte, however much, and what a child prints later is not', async () => {
    const run = `yes 12345678 | head -c 900000; (sleep 0.05; while echo late; do :; done) & printf end`;
    const { stdout, exitCode } = await runShell(await machine.connect(WORK), run, {});
    expect([exitCode, stdout.slice(900_000).replaceAll('late\n', '')]).toEqual([0, 'end']);
  });
});

describe('service', () => {
  const CHECK: Check = { kind: 'service', name: 'sshd is active', service: 'sshd' };

  test.each([
    ['active', 0, 'pass'],
    ['inactive', 3, 'fail'],
    ['failed', 3, 'fail'],
    ['unknown', 4, 'fail'],
  ])('one that is %s', async (says, exits, status) => {
    await systemctl('is-active', [{ says, exits }]);
    expect(await seen(CHECK)).toEqual([status, says]);
    expect(await readFile(machine.resolvePath('/calls'), 'utf8')).toMatch(
      says === 'inactive' ? /^(?:is-active -- sshd\n){2,}$/ : /^is-active -- sshd\n$/,
    );
  });

  test('one that a device starts late is asked again', async () => {
    await systemctl('is-active', [
      { says: 'inactive', exits: 3 },
      { says: 'active', exits: 0 },
    ]);
    expect(await seen(CHECK)).toEqual(['pass', 'active']);
  });

  test('one that is on its way up is asked again, and what it comes to counts', async () => {
    const activating = { says: 'activating', exits: 3 };
    await systemctl('is-active', [activating, { says: 'active', exits: 0 }]);
    expect(await seen(CHECK)).toEqual(['pass', 'active']);
    await systemctl('is-active', [activating, { says: 'failed', exits: 3 }]);
    expect(await seen(CHECK)).toEqual(['fail', 'failed']);
  });
});

describe('units', () => {
  const CHECK: Check = { kind: 'units', name: 'no failed units' };
  const FAILED = 'foo.service loaded failed failed Foo\\nbar.mount loaded failed failed Bar\\n';

  test.each([
    ['running', 0, '', 'pass', 'running'],
    ['degraded', 1, FAILED, 'fail', 'degraded foo.service bar.mount'],
    ['maintenance', 1, '', 'fail', 'maintenance'],
    ['offline', 1, '', 'fail', 'offline'],
  ])('a system that is %s', async (says, exits, failed, status, detail) => {
    await systemctl('is-system-running', [{ says, exits }], failed);
    expect(await seen(CHECK)).toEqual([status, detail]);
  });

  test('a system that is starting is asked again', async () => {
    await systemctl(
      'is-system-running',
      [
        { says: 'starting', exits: 1 },
        { says: 'degraded', exits: 1 },
      ],
      FAILED,
    );
    expect(await seen(CHECK)).toEqual(['fail', 'degraded foo.service bar.mount']);
  });
});

describe('reboot', () => {
  const CHECK: Check = { kind: 'reboot', name: 'comes back', times: 3 };
  const rebooting = (reboot: Machine['reboot']): Machine => ({ ...machine, reboot });

  test('each time', async () => {
    let reboots = 0;
    expect(
      await seen(
        CHECK,
        rebooting(async () => void (reboots += 1)),
      ),
    ).toEqual(['pass', 'came back 3 times']);
    expect(reboots).toBe(3);
  });

  test('one that does not come back the second time', async () => {
    let reboots = 0;
    const never = new NixproofError('MACHINE_NEVER_BOOTED', 'it never answered');
    const dies = rebooting(() => ((reboots += 1) === 2 ? Promise.reject(never) : Promise.resolve()));
    expect(await seen(CHECK, dies)).toEqual(['fail', 'reboot 2 of 3: it never answered']);
    expect(reboots).toBe(2);
  });
});

test('a login that the system refuses is red', async () => {
  const { keyFile } = await keyPairAt(path.join(home, 'stranger'), 'test');
  const check: Check = { kind: 'run', name: 'a user', run: 'true', login: { user: 'guest', key: keyFile } };
  expect(await seen(check)).toEqual(['fail', expect.stringMatching(/^guest@\S+ refused the key /)]);
});

test('a check that has not ended when the time of all is up is red, and so are those behind it', async () => {
  const checks: readonly Check[] = [
    { kind: 'run', name: 'slow', run: 'exec sleep 3000' },
    { kind: 'run', name: 'next', run: 'true' },
  ];
  const detail = 'it had not ended when the time of timeouts.checks was used up';
  expect(await verify(machine, checks, WORK, { limitMs: 100 })).toMatchObject([
    { status: 'fail', detail },
    { status: 'fail', detail },
  ]);
});
