import path from 'node:path';
import { expect, test } from 'vitest';
import { readFlakeText } from '../../../src/nix/flake-text.js';
import { configFromFlake, discoverFlake } from '../../../src/config/flake.js';
import { openConfig } from '../../../src/config/open.js';
import { resolveProfiles } from '../../../src/config/resolve.js';
import { faultOf, folderWith } from './folder.js';

const none = { hosts: [], computed: false, disko: false };

const TEXTS: readonly (readonly [what: string, text: string, expected: object])[] = [
  ['nothing', '{ outputs = { self }: { }; }', none],
  ['one host by its path', '{ nixosConfigurations.vm = lib.nixosSystem { }; }', { ...none, hosts: ['vm'] }],
  ['a quoted host', '{ nixosConfigurations."my-host.lan" = x; }', { ...none, hosts: ['my-host.lan'] }],
  [
    'a set of hosts',
    `{
      inputs.disko.url = "github:nix-community/disko";
      outputs = { nixpkgs, disko, ... }: let mk = name: { inherit name; }; in {
        nixosConfigurations = {
          vm = nixpkgs.lib.nixosSystem { modules = [ { a = 1; } ]; };
          # old = nixpkgs.lib.nixosSystem { };
          /* older = 1; */
          "work-station" = let b = 1; c = { d = 2; }; in mk b;
          server = with nixpkgs; mk "server; fake = 1;";
          deep.nested = 1;
          inherit (import ./hosts.nix) laptop nas;
          multi = '' text; no = 1; \${"a''b"} ''\${x} ''' '';
          last = 1;
        };
        packages.x86_64-linux.default = self.nixosConfigurations.other.config.system.build.toplevel;
      };
    }`,
    {
      hosts: ['vm', 'work-station', 'server', 'deep', 'laptop', 'nas', 'multi', 'last'],
      computed: false,
      disko: true,
    },
  ],
  ['flake-parts', '{ flake.nixosConfigurations = rec { a = 1; b = a; }; }', { ...none, hosts: ['a', 'b'] }],
  ['computed hosts', '{ nixosConfigurations = lib.genAttrs [ "a" ] mk; }', { ...none, computed: true }],
  ['partly computed hosts', '{ nixosConfigurations = { a = 1; } // more; }', { ...none, hosts: ['a'], computed: true }],
  [
    'computed names',
    '{ nixosConfigurations = { "${n}" = 1; ${m} = 2; b = 3; }; }',
    { ...none, hosts: ['b'], computed: true },
  ],
  ['a comparison', '{ a = b.nixosConfigurations.vm == c; }', none],
  ['disko only in a comment', '{ # disko\n }', none],
  ['text that breaks off', '{ nixosConfigurations = { vm = "', { hosts: ['vm'], computed: true, disko: false }],
];

test.each(TEXTS)('the text of a flake with %s', (_, text, expected) => {
  expect(readFlakeText(text)).toEqual(expected);
});

const FLAKE = '{ inputs.disko.url = "x"; outputs = _: { nixosConfigurations = { vm = 1; server = 2; }; }; }';
const NO_NIX = { nix: '/nonexistent/nix' };

test('without nix the hosts are read from the text, and that is said', async () => {
  const cwd = await folderWith({ 'flake.nix': FLAKE, 'hosts/vm/x': '' });
  const flake = await discoverFlake(path.join(cwd, 'hosts/vm'), NO_NIX);
  expect(flake).toEqual({
    file: path.join(cwd, 'flake.nix'),
    folder: cwd,
    hosts: ['vm', 'server'],
    source: 'text',
    disko: true,
    notes: ['nix is not installed here: the hosts were read from the text of flake.nix'],
  });
});

/** Stands in for nix where there is none: answers one evaluation and checks how it was asked. */
const NIX_STAND_IN = `#!/bin/sh
[ -f flake.nix ] && [ "$*" = '--extra-experimental-features nix-command flakes eval --no-write-lock-file --json --apply builtins.attrNames .#nixosConfigurations' ] || exit 3
echo '["a host","computed"]'
`;

test('nix tells the hosts where it is installed', async () => {
  const cwd = await folderWith({ 'flake.nix': FLAKE, nix: NIX_STAND_IN });
  expect(await discoverFlake(cwd, { nix: path.join(cwd, 'nix') })).toMatchObject({
    hosts: ['computed'],
    source: 'nix',
    notes: ['"a host" cannot be a profile: its name is not made for file names'],
  });
});

test('where nix fails, the text is read', async () => {
  const nix = '#!/bin/sh\necho "error: cannot fetch input" >&2\nexit 1\n';
  const cwd = await folderWith({ 'flake.nix': '{ nixosConfigurations = f x; }', nix });
  const flake = await discoverFlake(cwd, { nix: path.join(cwd, 'nix') });
  expect(flake).toMatchObject({
    hosts: [],
    source: 'text',
    notes: [
      `nix could not say (${cwd}/nix failed: error: cannot fetch input): the hosts were read from the text of flake.nix`,
      'nixosConfigurations is computed: there may be hosts that its text does not name',
    ],
  });
  const fault = await faultOf(openConfig(cwd, undefined, { nix: path.join(cwd, 'nix') }));
  expect([fault.code, fault.message]).toEqual(['CONFIG_FLAKE_EMPTY', 'no nixosConfigurations were found in flake.nix']);
});

test("a flake's hosts are profiles", async () => {
  const cwd = await folderWith({ 'flake.nix': FLAKE });
  const flake = await discoverFlake(cwd, NO_NIX);
  if (!flake) throw new Error('no flake');
  const [profile] = await resolveProfiles(configFromFlake(flake, cwd), ['server'], { env: {} });
  expect(profile).toMatchObject({
    name: 'server',
    base: 'nixos',
    deploy: { from: cwd },
    install: { kind: 'nixos', flake: '.#server', disko: true },
  });
});

test('a configuration is opened by its name, else upwards, else from the flake', async () => {
  const yaml = 'profiles: { x: { install: { kind: script, run: x } } }';
  const cwd = await folderWith({ 'a/nixproof.yaml': yaml, 'a/flake.nix': FLAKE, 'b/flake.nix': FLAKE });
  const open = async (folder: string, file?: string) => {
    const { config } = await openConfig(path.join(cwd, folder), file, NO_NIX);
    return Object.keys(config.profiles);
  };
  expect(await open('a')).toEqual(['x']);
  expect(await open('b')).toEqual(['vm', 'server']);
  expect(await open('b', '../a/nixproof.yaml')).toEqual(['x']);
  const fault = await faultOf(openConfig(cwd, undefined, NO_NIX));
  expect([fault.code, fault.message, fault.hint]).toEqual([
    'CONFIG_NOT_FOUND',
    'there is no nixproof.yaml and no flake.nix here or in a folder above',
    'run `nixproof init` to write a configuration, or name one with --config',
  ]);
});
