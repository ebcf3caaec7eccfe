import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { LONG, openBench, parsed, type Bench } from './bench.js';

let bench: Bench;
beforeAll(async () => {
  bench = await openBench('local stack');
});

describe('init', () => {
  test('makes a profile of an installer script, which `test` takes', async () => {
    const folder = await bench.folder({ 'install.sh': '#!/bin/sh\necho installed\n' });
    const ended = await bench.np(folder, 'init');
    expect(ended).toEqual({
      exit: 0,
      stdout: 'found an installer: ./install.sh\nwrote nixproof.yaml; try it with: nixproof test\n',
      stderr: 'one profile that runs ./install.sh\n',
    });
    expect(await readFile(path.join(folder, 'nixproof.yaml'), 'utf8')).toContain('run: ./install.sh\n');
    expect(await bench.np(folder, 'init')).toEqual({
      exit: 2,
      stdout: '',
      stderr: 'error: nixproof.yaml is there already\nhint: use --force to write over it\ncode: CONFIG_EXISTS\n',
    });
    expect((await bench.np(folder, 'init', '--force')).exit).toBe(0);
    const other = await bench.folder({ 'install.sh': '#!/bin/sh\n', 'nixproof.json': '{}' });
    for (const more of [[], ['--force']]) {
      expect(await bench.np(other, 'init', ...more)).toEqual({
        exit: 2,
        stdout: '',
        stderr: 'error: nixproof.json is there already\nhint: move it away to begin anew\ncode: CONFIG_EXISTS\n',
      });
    }
    expect((await readdir(other)).sort()).toEqual(['install.sh', 'nixproof.json']);
    // The configuration holds: what is wrong is only what was asked for.
    expect(await bench.np(folder, 'test', 'vm')).toMatchObject({
      exit: 2,
      stderr:
        'error: there is no profile "vm" in nixproof.yaml\nhint: name one of these: default\ncode: CONFIG_UNKNOWN_PROFILE\n',
    });
  });

  test('makes profiles of the hosts of a flake', async () => {
    const folder = await bench.folder({
      'flake.nix':
        '{\n  outputs = { self }: {\n    nixosConfigurations.vm = { };\n    nixosConfigurations.server = { };\n  };\n}\n',
    });
    const ended = await bench.np(folder, 'init');
    expect(ended.exit).toBe(0);
    expect(ended.stdout).toMatch(
      /^found 2 hosts in flake\.nix: (vm, server|server, vm)\nwrote nixproof\.yaml; try it with: nixproof test\n$/,
    );
    const config = await readFile(path.join(folder, 'nixproof.yaml'), 'utf8');
    expect(config).toContain('flake: .#vm\n');
    expect(config).toContain('flake: .#server\n');
    expect(await bench.np(folder, 'test', 'workstation')).toMatchObject({ exit: 2 });
  });
});

test('doctor --json says of everything what it is, and how to mend it', LONG, async () => {
  const ended = await bench.np(bench.layout.home, 'doctor', '--json');
  const { ok, checks } = parsed<{ ok: boolean; checks: { name: string; status: string }[] }>(ended);
  expect(ended.exit).toBe(ok ? 0 : 3);
  expect(checks.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'node',
      'home',
      'temporal',
      'qemu',
      'accelerator',
      'firmware',
      'mmdebstrap',
      'base:debian',
      'nix',
    ]),
  );
  for (const check of checks) {
    expect(check).toEqual({
      name: expect.any(String) as string,
      status: expect.stringMatching(/^(ok|missing|broken|optional)$/) as string,
      detail: expect.stringMatching(/./) as string,
      fix: expect.any(String) as string,
      ...(check.name === 'accelerator' ? { proof: expect.any(String) as string } : {}),
    });
  }
  expect(checks.find(({ name }) => name === 'base:debian')).toMatchObject({
    status: 'optional',
    fix: 'nixproof setup --base debian',
  });
  await bench.expectNothingLeft();
});

test('doctor finds out that a server elsewhere has no such namespace', async () => {
  const elsewhere = await openBench('own');
  const temporal = async (namespace: string) => {
    const ended = await elsewhere.withEnv({ TEMPORAL_NAMESPACE: namespace }).np(bench.layout.home, 'doctor', '--json');
    const { checks } = parsed<{ checks: { name: string; status: string }[] }>(ended);
    return { exit: ended.exit, check: checks.find(({ name }) => name === 'temporal') };
  };
  expect(await temporal('nowhere')).toEqual({
    exit: 3,
    check: {
      name: 'temporal',
      status: 'broken',
      detail: expect.stringMatching(/^127\.0\.0\.1:\d+ has no namespace nowhere$/) as string,
      fix: 'temporal operator namespace create --namespace nowhere',
    },
  });
  expect((await temporal('default')).check).toMatchObject({ status: 'ok' });
});
