import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { nixCheck } from '../../../src/installers/nix-check.js';

const install = {
  kind: 'nix-check',
  flake: '.#checks.x86_64-linux.boots',
  timeoutMs: 1,
  stallMs: 1,
  reboot: false,
  env: {},
} as const;

test.each([
  ['.#checks.x86_64-linux.boots', `nix build "path:$PWD"'#checks.x86_64-linux.boots' `],
  ['#boots', `nix build "path:$PWD"'#boots' `],
  ['./tests#boots', `nix build "path:$PWD"'/tests#boots' `],
  ['github:a/b#checks.c', `nix build 'github:a/b#checks.c' `],
])('%s names the deployed folder, or what it says', (flake, expected) => {
  expect(nixCheck({ ...install, flake })).toContain(expected);
});

test('it is a shell script, whatever the flake is called', async () => {
  for (const flake of ['.#boots', ".#it's", './a b#c;d', '.#$(id)']) {
    await promisify(execFile)('sh', ['-n', '-c', nixCheck({ ...install, flake })]);
  }
});
