import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { CommanderError, type Command } from 'commander';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { requireNames } from '../../../src/activities/step/request-names.js';
import { createProgram } from '../../../src/cli/program.js';
import { parseName } from '../../../src/domain/names.js';
import type { RunRequest } from '../../../src/domain/run.js';
import { layoutOf } from '../../../src/host/paths.js';
import { machineFolder, machineIds } from '../../../src/machines/record.js';
import { listRunReports, readRunReport, readRunRequest, runFiles } from '../../../src/records/artifacts.js';

const PATHS = [
  '',
  '.',
  '..',
  '../../x',
  'a/b',
  '/etc',
  'a\\b/..',
  '.hidden',
  'a\0b',
  'a\nb',
  'x y',
  'é',
  'x'.repeat(256),
];
const NAMES = ['vm-20261123-071500-ab12', '_a.b_c-1-20261123-071500-ab12', 'a..b', 'suite-20261123-071500-ab12'];

describe('a name is never a path', () => {
  test.each(PATHS)('%j is none', (text) => {
    expect(() => parseName(text, 'run')).toThrow(expect.objectContaining({ code: 'CONFIG_NAME' }));
    expect(() => runFiles('/runs', text)).toThrow('cannot be the name of a run');
    expect(() => machineFolder(layoutOf('/home'), text)).toThrow('cannot be the name of a machine');
  });

  test.each([
    ['an option', '-rf'],
    ['no text', ['a'] as unknown],
    ['nothing', undefined as unknown],
  ])('%s is none', (_, text) => {
    expect(() => parseName(text, 'run')).toThrow('cannot be the name of a run');
  });

  test.each(NAMES)('%s is one', (text) => {
    expect(parseName(text, 'run or suite')).toBe(text);
  });

  test('nor is the number of an attempt or a heal', () => {
    const files = runFiles('/runs', 'vm');
    const number = '1/../../..' as unknown as number;
    for (const of of ['attempt', 'heal', 'probes', 'advice'] as const)
      expect(() => files[of](number)).toThrow('number');
  });
});

describe('a request from a workflow’s input', () => {
  const request = { run: 'vm-1', suite: 'suite-1' } as RunRequest;
  const source = { repository: '', ref: '', tree: '' };

  test.each([
    { run: '../x' },
    { suite: '../x' },
    { machine: '../x' },
    { source: { ...source, commit: '../x' } },
  ] as Partial<RunRequest>[])('%o is refused', (wrong) => {
    expect(() => requireNames({ ...request, ...wrong })).toThrow(expect.objectContaining({ code: 'CONFIG_NAME' }));
  });

  test('one with names is not', () => {
    const commit = '9f2c1d7e0b6a4f3e8d5c2b1a0f9e8d7c6b5a4f3e';
    requireNames({ ...request, machine: 'vm-1-race1', source: { ...source, commit } });
    requireNames({ ...request, source: { ...source, commit: 'sha256-0a1b2c' } });
  });
});

test('nothing outside the runs’ folder is read as a run', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'nixproof-names-'));
  onTestFinished(() => rm(home, { recursive: true }));
  const { runs, machines } = layoutOf(home);
  for (const folder of [path.join(home, 'x'), path.join(runs, 'lost+found'), path.join(machines, 'lost+found')]) {
    await mkdir(folder, { recursive: true });
    for (const file of ['run.json', 'request.json']) await writeFile(path.join(folder, file), '{}');
  }
  await expect(readRunReport(runs, '../x')).rejects.toMatchObject({ code: 'CONFIG_NAME' });
  await expect(readRunRequest(runs, '../x')).rejects.toMatchObject({ code: 'CONFIG_NAME' });
  expect(await listRunReports(runs)).toEqual([]);
  expect(await machineIds(layoutOf(home))).toEqual([]);
});

/** Arguments that name nothing of ours: profiles are looked up in the configuration, the others are files and commands. */
const OTHERS: readonly string[] = ['profiles', 'file', 'folder', 'shell', 'command', 'words'];

function commandsOf(command: Command, before: readonly string[] = []): readonly (readonly [string[], Command])[] {
  return command.commands.flatMap((sub) => {
    const words = [...before, sub.name()];
    return [[words, sub] as const, ...commandsOf(sub, words)];
  });
}

const TAKING_NAMES = commandsOf(createProgram()).flatMap(([words, command]) =>
  command.registeredArguments.flatMap((argument, index) =>
    OTHERS.includes(argument.name()) ? [] : [{ words, index, argument: argument.name() }],
  ),
);

describe('every argument of the command line that is a name', () => {
  test('is known to this table', () => {
    expect(TAKING_NAMES.map(({ words, argument }) => `${words.join(' ')} ${argument}`).sort()).toMatchInlineSnapshot(`
      [
        "approve heal",
        "approve run",
        "cancel run",
        "debug run",
        "hosts drain host",
        "hosts forget host",
        "hosts undrain host",
        "logs run",
        "patch run",
        "pause run",
        "reject heal",
        "reject run",
        "report run",
        "resume run",
        "schedule create name",
        "schedule delete name",
        "schedule pause name",
        "schedule resume name",
        "schedule show name",
        "schedule trigger name",
        "status run",
        "vm clean machine",
        "vm console machine",
        "vm deploy machine",
        "vm ip machine",
        "vm screenshot machine",
        "vm ssh machine",
        "vm start name",
        "vm stop machines",
        "watch run",
      ]
    `);
  });

  test.each(TAKING_NAMES)(
    '$words $argument is refused where it could be a path',
    async ({ words, index, argument }) => {
      const written = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
      onTestFinished(() => written.mockRestore());
      const args = [...words, ...Array.from({ length: index }, () => 'vm-1'), '../../x'];
      const refused: unknown = await createProgram()
        .parseAsync(args, { from: 'user' })
        .catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(CommanderError);
      expect((refused as CommanderError).message).toMatch(
        new RegExp(
          `'\\.\\./\\.\\./x' is invalid for argument '${argument}'.*cannot be the name of a [a-z ]+: a name has `,
        ),
      );
    },
  );
});
