import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { RunReport } from '../../src/domain/run.js';
import type { SuiteReport } from '../../src/domain/suite.js';
import { toolIsHere } from '../unit/reports/tool.js';
import { DEADLINE_MS, LONG, openBench, parsed, type Bench } from './bench.js';

/** Checks that need no package set: their builder is this host's shell. */
const FLAKE = `{
  outputs = { self }:
    let
      check = name: script: derivation {
        inherit name;
        system = "x86_64-linux";
        builder = "/bin/sh";
        args = [ "-c" script ];
      };
    in {
      checks.x86_64-linux = {
        good = check "good" "echo machine: it boots; echo done > $out";
        bad = check "bad" "echo machine: must succeed: systemctl is-active sshd; exit 1";
        fetched = check "fetched" "read -r line < \${import ./source.nix} || :; echo $line > $out";
      };
    };
}
`;
/** Nothing listens on that port. */
const SOURCE = `builtins.fetchurl { url = "http://127.0.0.1:9/source.txt"; sha256 = "${'0'.repeat(52)}"; }\n`;
const NIX = '{ NIX_CONFIG: "sandbox = false\\nbuild-users-group =\\nsubstitute = false\\ndownload-attempts = 1" }';
const CONFIG = `profiles:
  good:
    install: { kind: nix-check, flake: .#checks.x86_64-linux.good, env: ${NIX} }
  bad:
    install: { kind: nix-check, flake: .#checks.x86_64-linux.bad, env: ${NIX} }
  fetched:
    install: { kind: nix-check, flake: .#checks.x86_64-linux.fetched, env: ${NIX} }
  script:
    install: { kind: script, run: 'true' }
healing:
  heals:
    - name: use-the-copy
      for: network.unreachable
      confidence: 0.95
      run: []
      config: { source.nix: 'builtins.toFile "source.txt" "the copy"' }
`;

describe.runIf(await toolIsHere('nix', ['--version']))('checks of a flake', () => {
  let bench: Bench;
  let suite: SuiteReport;
  let exit: unknown;
  const run = (profile: string) => suite.runs.find((one) => one.profile === profile) as RunReport;

  beforeAll(async () => {
    bench = await openBench('own');
    await bench.worker();
    const folder = await bench.folder({ 'flake.nix': FLAKE, 'source.nix': SOURCE, 'nixproof.yaml': CONFIG });
    const ended = await bench.np(folder, 'test', '--driver', 'sandbox', '--json');
    exit = ended.exit;
    suite = parsed<SuiteReport>(ended);
  }, LONG.timeout);

  afterAll(() => bench[Symbol.asyncDispose](), DEADLINE_MS);

  test('stand in one suite with installations', () => {
    const verdicts = suite.runs.map(({ profile, verdict, driver }) => [profile, verdict, driver]);
    expect(verdicts).toEqual([
      ['good', 'passed', 'sandbox'],
      ['bad', 'failed', 'sandbox'],
      ['fetched', 'healed', 'sandbox'],
      ['script', 'passed', 'sandbox'],
    ]);
    expect(exit).toBe(1);
  });

  test('are built by the flake’s own Nix, once, and nothing is restarted', () => {
    expect(run('good').phases.map(({ name }) => name)).toEqual(['NIX_CHECK']);
    expect(run('good').bootedInstalled).toBe(false);
  });

  test('one that fails is named by its class', () => {
    expect(run('bad').failures).toMatchObject([{ class: 'nix.build', phase: 'NIX_CHECK' }]);
  });

  test('a download that fails is healed, and the change is a patch', async () => {
    expect(run('fetched').failures).toMatchObject([{ class: 'network.unreachable' }]);
    expect(run('fetched').heals).toMatchObject([{ name: 'use-the-copy', outcome: 'worked', resumed: 'rerun' }]);
    const { stdout } = await bench.np('/', 'patch', run('fetched').run);
    expect(stdout).toContain('+builtins.toFile "source.txt" "the copy"');
  });

  test('nothing of them is left in the host’s own Nix configuration', async () => {
    const { stdout } = await promisify(execFile)('nix', [
      '--extra-experimental-features',
      'nix-command',
      'show-config',
    ]);
    expect(stdout).not.toContain('download-attempts = 1\n');
  });
});
