import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { createProgram } from '../../../src/cli/program.js';
import { newReport } from '../../../src/domain/new-report.js';
import { writeJson } from '../../../src/host/files.js';
import { ownIdentity } from '../../../src/host/lock.js';
import { layoutOf, type Layout } from '../../../src/host/paths.js';
import { keyPairAt } from '../../../src/machines/keys.js';
import { machineFolder, writeRecord } from '../../../src/machines/record.js';
import { runFiles } from '../../../src/records/artifacts.js';
import { temporaryFolder } from '../programs.js';

const RUN = 'vm-20261130-000000-0000';
const shape = { memoryMiB: 64, cpus: 1, firmware: 'bios', diskBytes: [] } as const;

let layout: Layout;
beforeEach(async () => {
  const home = await temporaryFolder();
  layout = layoutOf(home);
  vi.stubEnv('NIXPROOF_HOME', home);
  vi.stubEnv('TEMPORAL_ADDRESS', '');
  vi.stubEnv('TEMPORAL_CONFIG_FILE', '');
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeAllListeners(signal);
  process.stdout.removeAllListeners('error');
  process.exitCode = undefined;
});

/** Runs the command line in this process: its exit code, and what it printed. */
async function nixproof(...args: readonly string[]) {
  const printed = { stdout: '', stderr: '' };
  const writes = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      printed[name] += String(text);
      return true;
    }),
  );
  const exit = vi.spyOn(process, 'exit').mockImplementation(() => undefined as never);
  await createProgram().parseAsync(['node', 'nixproof', ...args]);
  const code = process.exitCode;
  exit.mockRestore();
  for (const write of writes) write.mockRestore();
  return { exit: code, ...printed };
}

/** A command that is refused: its code ends the message, and nothing is on stdout. */
const refused = (code: string) => ({
  exit: 2,
  stdout: '',
  stderr: expect.stringMatching(new RegExp(`\ncode: ${code}\n$`)) as string,
});

async function recordRun(more: object = {}) {
  const report = newReport({
    run: RUN,
    suite: 's',
    profile: 'vm',
    driver: 'sandbox',
    startedAt: '2026-11-30T00:00:00Z',
  });
  await writeJson(runFiles(layout.runs, RUN).run, { ...report, verdict: 'failed', state: 'done', ...more });
}

async function recordMachine(id: string, more: object) {
  const createdAt = new Date(0).toISOString();
  await writeRecord(layout, { id, base: undefined, createdAt, shape, detail: '', hostKey: 'key', ...more } as never);
}

test('init does not write over a configuration', async () => {
  const folder = await temporaryFolder();
  vi.spyOn(process, 'cwd').mockReturnValue(folder);
  await writeFile(path.join(folder, 'nixproof.yaml'), '');
  expect(await nixproof('init')).toEqual(refused('CONFIG_EXISTS'));
});

test('diagnose needs a log that can be read', async () => {
  expect(await nixproof('diagnose', '/nonexistent.log')).toEqual(refused('CONFIG_NO_LOG'));
});

test('a worker needs the address of a server', async () => {
  expect(await nixproof('worker')).toEqual(refused('CONFIG_NO_SERVER'));
});

test('a Temporal configuration that cannot be read is named', async () => {
  const file = path.join(await temporaryFolder(), 'temporal.toml');
  await writeFile(file, 'no [ toml');
  vi.stubEnv('TEMPORAL_CONFIG_FILE', file);
  expect(await nixproof('worker')).toEqual(refused('CONFIG_TEMPORAL'));
});

test('a schedule tells nobody at an address that starts from one copy of the configuration', async () => {
  const folder = await temporaryFolder();
  const secrets = '{ in: { file: hook }, run: { command: [./hook] }, home: { file: ~/hook } }';
  const install = '{ kind: script, run: x }';
  await writeFile(path.join(folder, 'nixproof.yaml'), `secrets: ${secrets}\nprofiles: { vm: { install: ${install} } }`);
  for (const [name, what] of [
    ['in', 'a path that starts from the configuration'],
    ['run', 'a path that starts from the configuration'],
    ['none', 'the configuration has no secret "none"'],
  ] as const) {
    const url = `secret:${name}`;
    const told = await nixproof('schedule', 'create', 'x', '--every', '1h', '--from', folder, '--notify-url', url);
    expect(told).toEqual(refused('CONFIG_FLAG'));
    expect(told.stderr).toContain(what);
  }
});

describe('of a run', () => {
  test('whose log was removed there is none, and of one that has none neither', async () => {
    await recordRun({ removedForRoomAt: '2026-11-30T12:00:00Z' });
    expect(await nixproof('logs', RUN)).toEqual(refused('CONFIG_LOG_REMOVED'));
    await recordRun();
    expect(await nixproof('logs', RUN)).toEqual(refused('CONFIG_NO_LOG'));
  });

  test('without a heal that worked there is no patch', async () => {
    await recordRun();
    expect(await nixproof('patch', RUN)).toEqual(refused('CONFIG_NO_PATCH'));
  });

  test('whose machine was not kept nothing can be debugged', async () => {
    await recordRun();
    expect(await nixproof('debug', RUN)).toEqual(refused('CONFIG_NOT_KEPT'));
  });
});

describe('a machine', () => {
  test('has a name of letters, digits and dashes', async () => {
    expect(await nixproof('vm', 'start', 'lab.1', '--driver', 'sandbox')).toEqual(refused('CONFIG_MACHINE_NAME'));
  });

  test('has a name of its own', async () => {
    await recordRun();
    expect(await nixproof('vm', 'start', RUN, '--driver', 'sandbox')).toEqual(refused('CONFIG_MACHINE_EXISTS'));
    await recordMachine('lab', { driver: 'sandbox' });
    expect(await nixproof('vm', 'start', 'lab', '--driver', 'sandbox')).toEqual(refused('CONFIG_MACHINE_EXISTS'));
  });

  test('is not taken from a run that has not ended', async () => {
    await recordRun({ verdict: null });
    await recordMachine(RUN, { driver: 'sandbox' });
    expect(await nixproof('vm', 'stop', RUN)).toEqual(refused('CONFIG_MACHINE_BUSY'));
  });

  test('is not made again where nothing says what it was made of', async () => {
    await recordMachine('lab', { driver: 'sandbox' });
    expect(await nixproof('vm', 'clean', 'lab')).toEqual(refused('CONFIG_MACHINE_ORIGIN'));
  });

  test('of the sandbox has neither an address nor a console', async () => {
    await recordMachine('lab', { driver: 'sandbox' });
    await keyPairAt(path.join(machineFolder(layout, 'lab'), 'login-key'), 'nixproof');
    expect(await nixproof('vm', 'ip', 'lab')).toEqual(refused('UNSUPPORTED_ADDRESS'));
    expect(await nixproof('vm', 'console', 'lab')).toEqual(refused('UNSUPPORTED_ABILITY'));
  });

  test('has a console by hand only at a terminal', async () => {
    const live = { definition: { binary: 'qemu', args: [] }, hostKey: '' };
    const process = { identity: await ownIdentity(), sshPort: 1 };
    await recordMachine('lab', { driver: 'qemu', stage: 'live', live, process, console: true });
    expect(await nixproof('vm', 'console', 'lab')).toEqual(refused('UNSUPPORTED_TERMINAL'));
  });
});
