import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { nixosInstaller, splitFlakeReference } from '../../../src/installers/nixos.js';

const install = { kind: 'nixos', flake: '.#vm', disko: true, timeoutMs: 1, stallMs: 1, reboot: true, env: {} } as const;

test.each([
  ['.#vm', { flake: '.', configuration: 'vm' }],
  ['#vm', { flake: '.', configuration: 'vm' }],
  ['github:a/b#c', { flake: 'github:a/b', configuration: 'c' }],
])('%s is split at its #', (reference, expected) => {
  expect(splitFlakeReference(reference)).toEqual(expected);
});

test('the phases are partitioning, build and installation, in this order', () => {
  const phases = [...nixosInstaller(install).matchAll(/nixproof-phase (\w+)/g)].map(([, name]) => name);
  expect(phases).toEqual(['DISK_PARTITIONING', 'NIX_BUILD', 'NIXOS_INSTALL']);
  expect(nixosInstaller({ ...install, disko: false })).not.toMatch(/DISK_PARTITIONING|disko/);
});

test('it is a shell script, whatever the flake is called', async () => {
  for (const flake of ['.#vm', ".#it's", './a b#c;d', '.#$(id)']) {
    await promisify(execFile)('sh', ['-n', '-c', nixosInstaller({ ...install, flake })]);
  }
});
