import { chmod, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { initialConfig } from '../../../src/config/init.js';
import { loadConfig } from '../../../src/config/load.js';
import { folderWith } from './folder.js';

const NO_NIX = { nix: '/nonexistent/nix' };
const FLAKE = '{ outputs = { disko }: { nixosConfigurations = { vm = 1; "true" = 2; "10.5" = 3; }; }; }';
const BASH = '#!/usr/bin/env bash\n';

const FOLDERS: readonly (readonly [what: string, files: Record<string, string>, installs: object, notes: string[]])[] =
  [
    [
      'a flake',
      { 'flake.nix': FLAKE, 'install.sh': BASH },
      {
        vm: { kind: 'nixos', flake: '.#vm', disko: true },
        true: { kind: 'nixos', flake: '.#true', disko: true },
        '10.5': { kind: 'nixos', flake: '.#10.5', disko: true },
      },
      [
        'nix is not installed here: the hosts were read from the text of flake.nix',
        'profiles from nixosConfigurations: vm, true, 10.5',
      ],
    ],
    [
      'a flake without disko',
      { 'flake.nix': '{ nixosConfigurations.vm = 1; }' },
      { vm: { kind: 'nixos', flake: '.#vm', disko: false } },
      [
        'nix is not installed here: the hosts were read from the text of flake.nix',
        'profiles from nixosConfigurations: vm',
      ],
    ],
    [
      'an executable script',
      { 'setup.sh': BASH, 'scripts/install.sh': BASH },
      { default: { kind: 'script', run: './scripts/install.sh' } },
      ['one profile that runs ./scripts/install.sh'],
    ],
    [
      'nothing',
      {},
      { default: { kind: 'script', run: './install.sh' } },
      ['neither hosts of a flake nor an installer script were found: set install.run to your installer'],
    ],
  ];

test.each(FOLDERS)('a folder with %s gets a configuration that loads', async (_, files, installs, notes) => {
  const cwd = await folderWith(files);
  const initial = await initialConfig({ cwd, ...NO_NIX });
  expect(initial.file).toBe(path.join(cwd, 'nixproof.yaml'));
  expect(initial.notes).toEqual(notes);
  expect(initial.text).not.toContain('$schema');
  await writeFile(initial.file, initial.text);
  const { config } = await loadConfig(initial.file, cwd);
  const found = Object.entries(config.profiles).map(([name, { install }]) => [name, install]);
  expect(Object.fromEntries(found)).toMatchObject(installs);
  expect(found).toHaveLength(Object.keys(installs).length);
});

test('the commented lines are valid too once they are uncommented', async () => {
  const cwd = await folderWith({ 'flake.nix': FLAKE });
  const { file, text } = await initialConfig({ cwd, ...NO_NIX });
  await writeFile(
    file,
    text.replace(/^ {4}# {2}(- \{)/gm, '      $1').replace(/^ {4}# ((machine|deploy):)/gm, '    $1'),
  );
  const { config } = await loadConfig(file, cwd);
  const last = Object.values(config.profiles).at(-1);
  expect(last?.checks).toHaveLength(4);
  expect(last?.machine.memory).toBe(4096);
});

test('the file is written beside the flake, and its first line names the schema where it is installed', async () => {
  const schema = 'node_modules/nixproof/schema/nixproof.schema.json';
  const cwd = await folderWith({ 'flake.nix': FLAKE, [schema]: '{}', 'hosts/x': '' });
  const { file, text } = await initialConfig({ cwd: path.join(cwd, 'hosts'), ...NO_NIX });
  expect(file).toBe(path.join(cwd, 'nixproof.yaml'));
  expect(text.split('\n')[0]).toBe(`# yaml-language-server: $schema=./${schema}`);
});

test('a script that is not executable is started by its shell', async () => {
  const cwd = await folderWith({ 'install.sh/is-a-folder': '', 'bootstrap.sh': BASH });
  await chmod(path.join(cwd, 'bootstrap.sh'), 0o644);
  const { found } = await initialConfig({ cwd, ...NO_NIX });
  expect(found).toEqual({
    kind: 'script',
    run: 'bash ./bootstrap.sh',
  });
});
